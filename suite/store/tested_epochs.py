"""After which epochs a training run is tested. Needs no torch."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache

TestEvery = int | float | tuple[int, ...]
_ROUNDING = 1e-9  # 3 * 0.1 * 10 is a little more than 3, and 0.29 * 100 a little less than 29


def parse_test_every(value: object) -> TestEvery:
    """Return a value of `test_every` as a recipe or a record's config holds it, lists as tuples.

    Raises:
        ValueError: it is none of the three kinds.
    """
    if type(value) is int and value >= 1:
        return value
    if type(value) is float and 0 < value < 1:
        return value
    if isinstance(value, list | tuple) and value:
        whole = all(type(epoch) is int and epoch >= 1 for epoch in value)
        if whole and list(value) == sorted(set(value)):
            return tuple(value)
    raise ValueError(
        "a number of epochs (at least 1), a part of the training (above 0, below 1), or a rising list of epochs"
    )


@lru_cache(maxsize=256)
def epochs_tested(test_every: TestEvery, total: int) -> frozenset[int]:
    """The epochs after which a run is tested, counted from 1. The last one is always among them.

    Args:
        test_every: a number of epochs from one test to the next; or a part of the training, of which multiples are
            rounded down to whole epochs; or the epochs themselves.
        total: the number of epochs.
    """
    if isinstance(test_every, int):
        found = set(range(test_every, total + 1, test_every))
    elif isinstance(test_every, float):
        if test_every * total <= 1:
            return frozenset(range(1, total + 1))
        times = range(1, math.floor(1 / test_every + _ROUNDING) + 1)
        found = {_floor(number, test_every, total) for number in times}
    else:
        found = {epoch for epoch in test_every if epoch <= total}
    return frozenset(found | {total})


def count_tests(test_every: TestEvery | Sequence[int], total: int) -> int:
    """The number of tests of a run, without building the epochs: `total` may come from a file, and be large."""
    if isinstance(test_every, int):
        return math.ceil(total / test_every)
    if isinstance(test_every, float):
        if test_every * total <= 1:
            return total
        times = math.floor(1 / test_every + _ROUNDING)
        return times + (_floor(times, test_every, total) != total)
    return len({epoch for epoch in test_every if epoch < total}) + 1


def _floor(times: int, part: float, total: int) -> int:
    return math.floor(times * part * total + _ROUNDING)
