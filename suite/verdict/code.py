"""Whether runs that are taken together were made by the same code."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable


def mixed_code(codes: Iterable[str | None], *, but: str = "") -> tuple[str, ...]:
    """The axes whose level, the same in all runs, had different code in some.

    Args:
        codes: The column `code` of the runs: fingerprints by axis, as JSON; None of older runs, which match all.
        but: An axis whose levels differ between the runs.
    """
    seen: dict[str, set[str]] = defaultdict(set)
    for text in {code for code in codes if isinstance(code, str)}:  # a frame has NaN for None
        for axis, fingerprint in json.loads(text).items():
            seen[axis].add(fingerprint)
    return tuple(axis for axis, found in seen.items() if len(found) > 1 and axis != but)
