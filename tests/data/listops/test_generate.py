"""Generated lists: each parses, and has the value that an evaluator written here finds."""

from __future__ import annotations

from statistics import median

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from suite.data.arrays import arrays_checksum
from suite.data.listops.generate import TREES, generate, grow
from suite.data.listops.reading import evaluate
from suite.data.listops.settings import SYMBOLS, ListOps
from suite.errors import InputError
from suite.text import Progress

RULES = {
    "[MIN": min, "[MAX": max, "[MED": lambda values: int(median(values)), "[SM": lambda values: sum(values) % 10,
}  # fmt: skip


def value_of(symbols: list[str], depth: int, rule: ListOps) -> int:
    """The value of the first element, which is taken from `symbols`: by recursion, unlike the generator."""
    symbol = symbols.pop(0)
    assert depth <= rule.depth
    if symbol not in RULES:
        return int(symbol)
    values = []
    while symbols[0] != "]":
        values.append(value_of(symbols, depth + 1, rule))
    assert symbols.pop(0) == "]"
    assert 2 <= len(values) <= rule.arguments
    return RULES[symbol](values)


def texts(tokens: np.ndarray) -> list[str]:
    """A list's symbols. Padding is at its end alone."""
    length = int(np.count_nonzero(tokens))
    assert not tokens[length:].any()
    return [SYMBOLS[token] for token in tokens[:length]]


@settings(max_examples=8, deadline=None)
@given(
    seed=st.integers(0, 2**63 - 1), low=st.integers(1, 9), more=st.integers(4, 60), depth=st.integers(3, 12),
    arguments=st.integers(2, 12),
)  # fmt: skip
@example(seed=0, low=1, more=4, depth=2, arguments=2)
def test_every_list_parses_and_has_its_value(seed, low, more, depth, arguments):
    rule = ListOps(seed=seed, min_length=low, max_length=low + more, depth=depth, arguments=arguments, train=1, test=1)
    tokens, values = grow(rule, np.random.PCG64(seed))
    for row, value in list(zip(tokens, values, strict=True))[:60]:
        symbols = texts(row)
        assert rule.min_length < len(symbols) < rule.max_length
        assert evaluate(row[: len(symbols)].tolist()) == value
        assert value_of(symbols, 1, rule) == value
        assert not symbols


def lists(**changes) -> dict:
    rule = ListOps(**{"seed": 1, "min_length": 8, "max_length": 30, "train": 400, "test": 100, **changes})
    with Progress("generating") as progress:
        return generate(rule, progress)


def test_no_list_is_twice_and_seeds_differ():
    first, again, other = lists(), lists(), lists(seed=2)
    assert arrays_checksum(first) == arrays_checksum(again) != arrays_checksum(other)
    # The same on every machine and with every NumPy:
    assert arrays_checksum(first) == "ac80dd2f62dba838691528486ce32a57c90dce413fff9c0ba97445df71b282b6"
    assert (first["train"].images.shape, first["test"].images.shape) == ((400, 1, 30, 1), (100, 1, 30, 1))
    every = [row.tobytes() for split in first.values() for row in split.images]
    assert len(set(every)) == 500
    assert set(first["train"].labels) == set(range(10))


def test_shapes_are_as_likely_as_published():
    """Of trees of any length: 1/4 begin with an operator, whose kinds and numbers of arguments are equally likely."""
    rule = ListOps(seed=5, min_length=1, max_length=4096, depth=2, train=1, test=1)
    tokens, _ = grow(rule, np.random.PCG64(5))
    assert abs(len(tokens) / TREES - 0.25) < 4 * (0.25 * 0.75 / TREES) ** 0.5
    sizes = np.count_nonzero(tokens, axis=1) - 2
    for counts in (np.bincount(tokens[:, 0])[11:], np.bincount(sizes)[2:], np.bincount(tokens[:, 1:3].ravel())[1:11]):
        expected = counts.sum() / len(counts)
        assert ((counts - expected) ** 2 / expected).sum() < 30  # χ² of at most 9 degrees of freedom: P < 0.0005
    assert sizes.max() == 10


def test_too_few_lists_of_such_lengths():
    with pytest.raises(InputError, match="too few different lists") as caught:
        lists(min_length=3, max_length=5, train=1000)
    assert "400 in 524,288 generated lists" in caught.value.problems[0].found  # four operators of two digits
