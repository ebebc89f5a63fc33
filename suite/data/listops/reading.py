"""Reads lists from the files of Long Range Arena, and checks that they parse and have the values that the files say."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from suite.data.arrays import Split
from suite.data.listops.settings import END, FIRST_DIGIT, FIRST_OPERATOR, PADDING, SYMBOLS, ListOps
from suite.data.names import shown
from suite.errors import InputError, first_line
from suite.store.files import opened
from suite.text import Progress

FILES = {"train": "basic_train.tsv", "test": "basic_test.tsv"}  # as the published generator names them
_TOKENS = {symbol: token for token, symbol in enumerate(SYMBOLS) if token != PADDING}
_MOST_CHARACTERS = 100_000  # of a line
_COMMAND = "lape data prepare NAME --from FOLDER --listops SETTINGS"


def read_lists(folder: Path, settings: ListOps, progress: Progress) -> dict[str, Split]:
    """Read the lists of both splits, in the order of the files.

    Args:
        folder: has `basic_train.tsv` and `basic_test.tsv`, with the columns Source and Target.
        settings: the numbers of lists, and the range of their lengths.
        progress: receives progress updates.

    Returns:
        For each split, tokens uint8 [N, 1, max_length, 1] and values int64 [N].

    Raises:
        InputError: a file can't be read, has another number of lists, or a list doesn't parse, has another value than
            the file says, or a length out of range.
    """
    splits = {}
    for split, count in (("train", settings.train), ("test", settings.test)):
        path = folder / FILES[split]
        progress.phase(f"reading {FILES[split]}", count, "lists")
        tokens = np.full((count, settings.max_length), PADDING, dtype=np.uint8)
        values = np.empty(count, dtype=np.int64)
        found = 0
        for number, line in _lines(path):
            if found == count:
                raise _wrong(path, number, f"{count:,} lists", "more", "change train or test in the settings")
            row, values[found] = _checked(line, path, number, settings)
            tokens[found, : len(row)] = row
            found += 1
            progress.advance()
        if found < count:
            raise _wrong(path, None, f"{count:,} lists", f"{found:,}", "change train or test in the settings")
        splits[split] = Split(tokens[:, None, :, None], values)
    return splits


def parse_list(text: str) -> list[int]:
    """The tokens of a list, without its parentheses.

    Raises:
        ValueError: the text has an unknown symbol.
    """
    symbols = text.replace("(", " ").replace(")", " ").split()
    if unknown := next((symbol for symbol in symbols if symbol not in _TOKENS), None):
        raise ValueError(f"the symbol {unknown[:20]!r}")
    return [_TOKENS[symbol] for symbol in symbols]


def evaluate(tokens: list[int]) -> int:
    """The value of one list or digit.

    Raises:
        ValueError: the tokens aren't one whole list or one digit, or an operator has no argument.
    """
    open_lists: list[tuple[int, list[int]]] = []
    value: int | None = None
    for place, token in enumerate(tokens):
        if value is not None:
            raise ValueError(f"{SYMBOLS[token]!r} after the end of the list, at token {place + 1}")
        if token >= FIRST_OPERATOR and token != END:
            open_lists.append((token, []))
            continue
        if token != END:
            one = token - FIRST_DIGIT
        elif not open_lists:
            raise ValueError(f"a ']' that closes no list, at token {place + 1}")
        else:
            operator, arguments = open_lists.pop()
            if not arguments:
                raise ValueError(f"{SYMBOLS[operator]!r} without arguments, closed at token {place + 1}")
            one = _apply(operator, arguments)
        if open_lists:
            open_lists[-1][1].append(one)
        else:
            value = one
    if value is None:
        raise ValueError(
            f"{len(open_lists)} list{'s' * (len(open_lists) > 1)} never closed" if open_lists else "no list"
        )
    return value


def _apply(operator: int, arguments: list[int]) -> int:
    name = SYMBOLS[operator]
    if name == "[MIN":
        return min(arguments)
    if name == "[MAX":
        return max(arguments)
    if name == "[SM":
        return sum(arguments) % 10
    ranked, count = sorted(arguments), len(arguments)
    return (ranked[(count - 1) // 2] + ranked[count // 2]) // 2


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    """The lines after the header, with their numbers from 1."""
    try:
        with opened(path) as file:
            for number, data in enumerate(iter(lambda: file.readline(_MOST_CHARACTERS), b""), 1):
                line = data.decode("utf-8").rstrip("\r\n")
                if number == 1 and line.split("\t") != ["Source", "Target"]:
                    raise _wrong(path, 1, "the columns Source and Target, separated by a tab", repr(line[:40]))
                if number > 1 and line:
                    yield number, line
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(
            "a file of lists can't be read",
            expected=" and ".join(FILES.values()) + " in the folder",
            found=getattr(error, "strerror", None) or first_line(error),
            where=shown(path),
            fix=f"give the folder of Long Range Arena's ListOps: {_COMMAND}",
        ) from None


def _checked(line: str, path: Path, number: int, settings: ListOps) -> tuple[list[int], int]:
    source, _, target = line.partition("\t")
    try:
        tokens = parse_list(source)
        value = evaluate(tokens)
    except ValueError as error:
        raise _wrong(path, number, "a list that parses", str(error)) from None
    if not settings.min_length < len(tokens) < settings.max_length:
        expected = f"more than {settings.min_length} and fewer than {settings.max_length} tokens"
        raise _wrong(path, number, expected, f"{len(tokens)} tokens", "change min_length or max_length")
    if target.strip() != str(value):
        raise _wrong(path, number, f"{value}, the list's value", f"{target[:20]!r} as Target")
    return tokens, value


def _wrong(path: Path, number: int | None, expected: str, found: str, fix: str = "") -> InputError:
    return InputError(
        "the lists of a file can't be used",
        expected=expected,
        found=found,
        where=shown(path) if number is None else f"{shown(path)}, line {number}",
        fix=fix or "get a whole copy of the file",
    )
