"""What a claim is called beside others of its table."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from suite.verdict.verdicts import Verdict


def claim_names(members: Sequence[Verdict]) -> list[str]:
    """The row of each claim in its paper; where claims share one, also the levels in which they differ."""
    counts = Counter(one.claim.row for one in members)
    return [
        one.claim.row if counts[one.claim.row] == 1 else f"{one.claim.row}: {_apart(one, members)}" for one in members
    ]


def _apart(verdict: Verdict, members: Sequence[Verdict]) -> str:
    """The levels of a claim that the other claims of its row don't all have."""
    alike = [_levels(one) for one in members if one.claim.row == verdict.claim.row]
    return ", ".join(level for key, level in _levels(verdict).items() if any(one.get(key) != level for one in alike))


def _levels(verdict: Verdict) -> dict[str, str]:
    asked = verdict.claim.contrast
    return {"treatment": asked.treatment, "baseline": asked.baseline, **asked.match}
