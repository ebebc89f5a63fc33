"""What `lape plan` says of a run until decided: what it may cost, and at which gain it will probably end."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from suite.cli.commands.questions import deciding
from suite.data.tasks import TaskName
from suite.report.workspace import Workspace
from suite.run.timing.estimate import Estimate
from suite.text import duration, points
from suite.verdict import stats
from suite.verdict.claims.claim import Claim
from suite.verdict.deciding import Question, State, tests_of_words
from suite.verdict.metrics import metric_of
from suite.verdict.rules import SMALLER_LEVEL
from suite.verdict.stats.planning import forecast, pooled_sd, smallest_sequential_gain

EFFECTS = (0.0, 0.5, 1.0, 2.0)  # true gains in standard deviations of the paired gains
_DRAWS = 2_000


@dataclass(frozen=True)
class Outlook:
    """What a claim will probably take.

    Args:
        claim: its id.
        pairs: how many there are.
        most: its largest number of pairs.
        level: its share of α.
        sd: the standard deviation of gains that is assumed, in points; 1 where none is known yet.
        known: whether it is.
        ends: for each true gain, in points: after how many pairs it ends on average.
        shown: the smallest true gain that is found with 80 % power, in points.
        pair_seconds: what a pair takes; None if it isn't known.
    """

    claim: str
    pairs: int
    most: int
    level: float
    sd: float
    known: bool
    ends: dict[float, float]
    shown: float
    pair_seconds: float | None


def foreign_metrics(claims: Sequence[Claim], task: TaskName) -> Iterator[str]:
    """A line for each claim about a metric that runs of this task don't have: it will stay not tested."""
    for claim in claims:
        of = metric_of(claim.metric).task
        if of is not None and of != task and not claim.obstacle:
            yield f"the claim {claim.id!r} is about {claim.metric}, which only runs of the task {of} have"


def outlooks(workspace: Workspace, expected: Estimate) -> list[Outlook]:
    """The outlook of each claim with a largest number of pairs that hasn't come to its end."""
    if workspace.choices or not any(claim.max_pairs is not None and not claim.obstacle for claim in workspace.claims):
        return []
    states = [state for state in deciding(workspace).states(workspace.records) if state.question.claim.max_pairs]
    known = [state.evidence.gain for state in states if state.evidence is not None and state.pairs >= 2]
    pooled = pooled_sd([gain.sd for gain in known], [gain.n for gain in known])
    return [_outlook(state, pooled, expected) for state in states if not state.end]


def _outlook(state: State, pooled: float, expected: Estimate) -> Outlook:
    claim, evidence = state.question.claim, state.evidence
    most = claim.max_pairs or 0
    level = evidence.level if evidence is not None else claim.alpha / (claim.family_size or 1)
    own = evidence.gain.sd if evidence is not None and state.pairs >= 2 else math.nan
    sd = pooled if math.isnan(own) or own == 0 else own
    known = not math.isnan(sd) and sd > 0
    sd = sd if known else 1.0
    gains = evidence.comparison.gains if evidence is not None and known else ()
    side = stats.direction(claim.side)
    # In units of the standard deviation the claimed gain means nothing: then a gain or a loss ends it.
    tests = tests_of_words(claim) if known else tests_of_words(claim)[:2]
    ends = {}
    for effect in EFFECTS:
        found = forecast(gains, most, level, gain=side * effect * sd, sd=sd, tests=tests,
                         levels=[level, level, SMALLER_LEVEL][: len(tests)], draws=_DRAWS)  # fmt: skip
        ends[side * effect * sd] = len(gains) + found.further_pairs
    shown = side * smallest_sequential_gain(most, sd, level)
    return Outlook(claim.id, state.pairs, most, level, sd, known, ends, shown, _pair_seconds(state.question, expected))


def _pair_seconds(asked: Question, expected: Estimate) -> float | None:
    first = asked.pair(asked.seeds[0])
    seconds = [expected.trial_seconds(trial) for trial in first]
    known = [one for one in seconds if one is not None]
    return sum(known) if len(known) == len(seconds) else None


def outlook_lines(workspace: Workspace, expected: Estimate) -> Iterator[str]:
    """The outlooks for people; nothing for a grid without such claims."""
    found = outlooks(workspace, expected)
    if not found:
        return
    yield f"`{workspace.command} --until-decided` adds pairs until each claim has a word:"
    for one in found:
        unit = "points" if one.known else "standard deviations"
        parts = [f"{_gain(gain)} after {pairs:.1f} pairs{_cost(one, pairs)}" for gain, pairs in one.ends.items()]
        yield (
            f"{one.claim}: {one.pairs} of at most {one.most} pairs{_cost(one, float(one.most))}; it ends on average "
            f"with a true gain of {', '.join(parts)}; {points(one.shown)} is found with 80 % power ({unit})"
        )


def _gain(gain: float) -> str:
    return points(gain) if gain else "0"


def _cost(one: Outlook, pairs: float) -> str:
    further = max(pairs - one.pairs, 0.0)
    return f" ({duration(further * one.pair_seconds)})" if one.pair_seconds is not None else ""
