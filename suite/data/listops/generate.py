"""Generates lists. Many trees grow at the same time, level by level, so that no Python loop runs over tokens."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from suite.data.arrays import Split
from suite.data.listops.settings import END, FIRST_DIGIT, FIRST_OPERATOR, OPERATORS, PADDING, ListOps
from suite.errors import InputError
from suite.text import Progress

Integers = npt.NDArray[np.int64]

TREES = 4096  # grown at a time; changing it changes the lists of a seed
_PATIENCE = 64  # rounds of so many trees, after which the number of new lists decides whether to go on
_MOST_WAITS = 100  # such waits, at the present pace, for all lists that are missing


@dataclass
class _Level:
    """The elements of all trees at one depth, in their order. An element is a digit or an operator with arguments.

    Attributes:
        tree: the number of the tree that each element belongs to.
        parent: the place of its operator in the level above.
        symbol: its token.
        arguments: the number of its arguments; 0 for a digit.
    """

    tree: Integers
    parent: Integers
    symbol: Integers
    arguments: Integers


def generate(settings: ListOps, progress: Progress) -> dict[str, Split]:
    """Generate the lists of both splits, in the order in which they are found; no list occurs twice.

    The rule: an element at a depth below `settings.depth` is an operator with probability 1/4, otherwise a digit. An
    operator is one of four, with 2 to `settings.arguments` arguments. Lists whose length is out of range are dropped.
    The generator's raw 64-bit numbers are used, because NumPy guarantees these for all its versions.

    Args:
        settings: the settings, with a seed.
        progress: receives progress updates.

    Returns:
        For each split, tokens uint8 [N, 1, max_length, 1] and values int64 [N].

    Raises:
        InputError: there are too few different lists of such lengths.
    """
    wanted = settings.train + settings.test
    random = np.random.PCG64(settings.seed)
    tokens = np.full((wanted, settings.max_length), PADDING, dtype=np.uint8)
    values = np.empty(wanted, dtype=np.int64)
    seen: set[bytes] = set()
    rounds = last = 0
    progress.phase("generating", wanted, "lists")
    while len(seen) < wanted:
        before = len(seen)
        found, answers = grow(settings, random)
        for row, answer in zip(found, answers, strict=True):
            place, key = len(seen), hashlib.sha256(row).digest()
            if place < wanted and key not in seen:
                seen.add(key)
                tokens[place], values[place] = row, answer
        for _ in range(len(seen) - before):
            progress.advance()
        rounds += 1
        if rounds % _PATIENCE == 0:
            if (len(seen) - last) * _MOST_WAITS < wanted - len(seen):
                raise _too_few(settings, len(seen), rounds * TREES)
            last = len(seen)
    images = tokens[:, None, :, None]
    first = slice(settings.train)
    rest = slice(settings.train, None)
    return {"train": Split(images[first], values[first]), "test": Split(images[rest], values[rest])}


def grow(settings: ListOps, random: np.random.PCG64) -> tuple[npt.NDArray[np.uint8], Integers]:
    """Grow `TREES` trees. Returns those of the right lengths: padded tokens [n, max_length], and values [n]."""
    levels, kept = _levels(settings, random)
    sizes, values = _measured(levels)
    kept &= (sizes[0] > settings.min_length) & (sizes[0] < settings.max_length)
    trees = np.cumsum(kept) - 1
    tokens = np.full((int(kept.sum()), settings.max_length), PADDING, dtype=np.uint8)
    starts = np.zeros(TREES, dtype=np.int64)  # of each element's tokens
    for depth, level in enumerate(levels):
        own = kept[level.tree]
        if depth:
            starts = starts[level.parent] + 1 + _before(sizes[depth], level.parent)
        rows = trees[level.tree[own]]
        tokens[rows, starts[own]] = level.symbol[own]
        lists = own & (level.arguments > 0)
        tokens[trees[level.tree[lists]], (starts + sizes[depth] - 1)[lists]] = END
    return tokens, values[0][kept]


def _levels(settings: ListOps, random: np.random.PCG64) -> tuple[list[_Level], npt.NDArray[np.bool_]]:
    """Draw the levels of all trees. Trees that are too long don't grow on; the second array says which aren't."""
    kept = np.ones(TREES, dtype=bool)
    length = np.zeros(TREES, dtype=np.int64)
    tree = parent = np.arange(TREES)
    levels: list[_Level] = []
    for depth in range(1, settings.depth + 1):
        drawn = random.random_raw(len(tree))
        high, low = drawn >> np.uint64(32), drawn & np.uint64(2**32 - 1)
        is_list = (high < 2**30) if depth < settings.depth else np.zeros(len(tree), dtype=bool)
        digit = (low * np.uint64(10)) >> np.uint64(32)
        counts = settings.arguments - 1  # how many numbers of arguments there are
        kind = ((low * np.uint64(len(OPERATORS) * counts)) >> np.uint64(32)).astype(np.int64)
        symbol = np.where(is_list, FIRST_OPERATOR + kind // counts, FIRST_DIGIT + digit.astype(np.int64))
        arguments = np.where(is_list, 2 + kind % counts, 0)
        levels.append(_Level(tree, parent, symbol, arguments))
        length += np.bincount(tree, weights=np.where(is_list, 2, 1), minlength=TREES).astype(np.int64)
        # Arguments have at least one token each.
        least = length + np.bincount(tree, weights=arguments, minlength=TREES).astype(np.int64)
        kept &= least < settings.max_length
        grows = np.where(kept[tree], arguments, 0)
        parent = np.repeat(np.arange(len(tree)), grows)
        tree = tree[parent]
        if not len(tree):
            break
    return levels, kept


def _measured(levels: list[_Level]) -> tuple[list[Integers], list[Integers]]:
    """The number of tokens and the value of each element, by level; of trees that stopped growing, any numbers."""
    sizes: list[Integers] = []
    values: list[Integers] = []
    for depth in reversed(range(len(levels))):
        level = levels[depth]
        size = np.where(level.arguments > 0, 2, 1)
        value = level.symbol - FIRST_DIGIT
        if depth + 1 < len(levels):
            parent, inner_values = levels[depth + 1].parent, values[-1]
            size = size + np.bincount(parent, weights=sizes[-1], minlength=len(size)).astype(np.int64)
            first = np.flatnonzero(np.diff(parent, prepend=-1))  # of each operator's arguments
            operator = parent[first]
            value[operator] = _applied(level.symbol[operator], inner_values, parent, first)
        sizes.append(size)
        values.append(value)
    return sizes[::-1], values[::-1]


def _applied(symbol: Integers, values: Integers, parent: Integers, first: Integers) -> Integers:
    """The values of operators.

    Args:
        symbol: the operators' tokens, [operators].
        values: the values of all arguments, [arguments].
        parent: the place of each argument's operator, ascending, [arguments].
        first: the place of each operator's first argument, [operators].
    """
    counts = np.diff(first, append=len(values))
    ranked = values[np.lexsort((values, parent))]  # within each operator's arguments
    middle = (ranked[first + (counts - 1) // 2] + ranked[first + counts // 2]) // 2  # the whole part of the median
    of_each = (ranked[first], ranked[first + counts - 1], middle, np.add.reduceat(values, first) % 10)
    return np.choose(symbol - FIRST_OPERATOR, of_each)


def _before(sizes: Integers, parent: Integers) -> Integers:
    """The tokens of the arguments before each argument of the same operator."""
    ends = np.cumsum(sizes)
    first = np.flatnonzero(np.diff(parent, prepend=-1))
    counts = np.diff(first, append=len(sizes))
    return ends - sizes - np.repeat((ends - sizes)[first], counts)


def _too_few(settings: ListOps, found: int, trees: int) -> InputError:
    return InputError(
        "there are too few different lists of such lengths",
        expected=f"{settings.train} + {settings.test} lists of more than {settings.min_length} and fewer than "
        f"{settings.max_length} tokens",
        found=f"{found:,} in {trees:,} generated lists of any length",
        where=settings.options,
        fix="ask for fewer lists, or for a wider range of lengths",
    )
