"""Whether runs that are used together were made by the same code."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from typing import Any


def mixed_code(codes: Iterable[str | None], *, but: str = "") -> tuple[str, ...]:
    """The axes whose level, the same in all runs, had different code in some.

    Args:
        codes: The column `code` of the runs: fingerprints by axis, as JSON; None of older runs, which match all.
        but: An axis whose levels differ between the runs.
    """
    seen: dict[str, set[str]] = defaultdict(set)
    for text in set(codes):
        for axis, fingerprint in _fingerprints(text):
            seen[axis].add(fingerprint)
    return tuple(axis for axis, found in seen.items() if len(found) > 1 and axis != but)


def mixed_levels(runs: Iterable[Mapping[str, Any]]) -> tuple[str, ...]:
    """The levels whose code wasn't the same in all runs that used them, such as "join lape".

    Args:
        runs: rows of a frame, of any cells. Runs without the column `code` match all.
    """
    seen: dict[tuple[str, str], set[str]] = defaultdict(set)
    for run in runs:
        for axis, fingerprint in _fingerprints(run.get("code")):
            seen[axis, str(run[axis])].add(fingerprint)
    return tuple(sorted(" ".join(level) for level, found in seen.items() if len(found) > 1))


def _fingerprints(code: object) -> Iterator[tuple[str, str]]:
    """The axes and fingerprints of a run's `code`; a frame has NaN for None."""
    if isinstance(code, str):
        yield from json.loads(code).items()
