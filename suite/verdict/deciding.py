"""Which pair a grid runs next, so that its claims are decided soonest, and when all of them are.

Each claim that the grid has cells for is a question. An open question's further pairs are forecast by its gains so far,
with a standard deviation that is moved towards the pooled one (`suite.verdict.stats.planning`). The question with the
least forecast pairs × seconds per decision gets the next pair. A forecast decides no word.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from suite.grid.trial import Trial
from suite.store.frames import to_columns
from suite.store.record import AXIS_FIELDS, RunRecord
from suite.verdict import stats
from suite.verdict.claims.claim import Claim, level_of
from suite.verdict.evidence import Evidence
from suite.verdict.matching import find_cases
from suite.verdict.rules import SMALLER_LEVEL, least_pairs
from suite.verdict.sentences import Word
from suite.verdict.stats.planning import Forecast, forecast, next_claim, pooled_sd, shrunken_sd
from suite.verdict.stats.sequential import LARGEST
from suite.verdict.verdicts import decide, has_a_word, in_families

if TYPE_CHECKING:
    from suite.verdict.runs import Frame

End = Literal["", "decided", "all pairs", "blocked"]

_DRAWS = 100  # simulated continuations of a forecast
_FIRST = 1e9  # sorts questions that can't be forecast yet before all others


@dataclass(frozen=True)
class Question:
    """A claim with two cells of the grid that it compares.

    Args:
        claim: the claim.
        baseline: the trials of the baseline's cell, by seed index.
        treatment: those of the treatment's cell.
        seeds: the seed indices that the claim may use, in their order.
    """

    claim: Claim
    baseline: Mapping[int, Trial]
    treatment: Mapping[int, Trial]
    seeds: tuple[int, ...]

    def pair(self, seed: int) -> tuple[Trial, Trial]:
        """The two trials of a seed."""
        return self.baseline[seed], self.treatment[seed]

    @property
    def cell(self) -> tuple[str, ...]:
        """The treatment's levels and the recipe's name, which say which comparison this is."""
        one = next(iter(self.treatment.values()))
        return (*(one.levels[name] for name in AXIS_FIELDS), one.recipe_name)


@dataclass(frozen=True)
class State:
    """How far a question is.

    Args:
        question: the claim and its cells.
        word: what the runs say so far.
        pairs: how many pairs its rule may use so far.
        evidence: the numbers; None without a pair.
        end: why no further pair is run; empty if one may be.
        waits_for: the seed whose failed pair stops it, if that is why.
    """

    question: Question
    word: Word
    pairs: int
    evidence: Evidence | None
    end: End = ""
    waits_for: int | None = None


def questions(claims: Sequence[Claim], trials: Sequence[Trial], seeds: Sequence[int], fixed: int) -> list[Question]:
    """The claims with the cells that they compare.

    Args:
        claims: the claims; those that no run can test, or that the grid has no cells for, are left out.
        trials: the grid's trials, of all seeds that any claim may use.
        seeds: the seed indices in their order.
        fixed: how many of them the grid fixes, at which claims are judged that are judged once.
    """
    cells: dict[str, dict[int, Trial]] = defaultdict(dict)
    for trial in trials:
        cells[trial.cell_id][trial.seed_index] = trial
    found = []
    for claim in claims:
        if claim.obstacle:
            continue
        sides: dict[tuple[str, ...], dict[str, dict[int, Trial]]] = defaultdict(dict)
        for of_cell in cells.values():
            one = next(iter(of_cell.values()))
            side = claim.contrast.side(level_of(one))
            if side is not None:
                level, rest = side
                sides[rest][level] = of_cell
        most = fixed if claim.rule == "fixed" else claim.max_pairs or len(seeds)
        for by_level in sides.values():
            baseline, treatment = (by_level.get(level) for level in (claim.contrast.baseline, claim.contrast.treatment))
            if baseline is not None and treatment is not None:
                found.append(Question(claim, baseline, treatment, tuple(seeds[:most])))
    return found


class Deciding:
    """Decides which trials a run takes next. An instance is what `suite.run.driver.run_missing` asks.

    Args:
        asked: the questions.
        seeds: the grid's seed indices in their order.
        fixed: how many of them the grid fixes.
        seconds: what a trial takes; None where that isn't known.
        out_of_time: given the seconds that a pair takes, whether it is too late to begin it.
        history: the epochs of all runs, for claims about one of them.
    """

    def __init__(
        self,
        asked: Sequence[Question],
        seeds: Sequence[int],
        fixed: int,
        seconds: Callable[[Trial], float | None] = lambda trial: None,
        out_of_time: Callable[[float], bool] = lambda seconds: False,
        history: Callable[[], Frame] | None = None,
    ) -> None:
        self.asked, self._seeds, self._fixed = list(asked), tuple(seeds), fixed
        self._seconds, self._out_of_time, self._history = seconds, out_of_time, history
        self.late = False  # whether pairs were left out because the time is spent
        self._forecasts: dict[tuple[str, tuple[str, ...], tuple[float, ...], float], Forecast] = {}

    def __call__(self, records: Mapping[str, RunRecord], fresh: Collection[str], waiting: Collection[str]) -> list[str]:
        """The trials of the next pair; none if all questions have ended, or wait for what is under way."""
        states = self.states(records)
        for trials in self._in_turn(states, records, fresh, waiting):
            cost = sum(self._cost(trial) for trial in trials)
            if not self._out_of_time(cost):
                return [trial.id for trial in trials]
            self.late = True
        return []

    def states(self, records: Mapping[str, RunRecord]) -> list[State]:
        """How far each question is, by the records so far."""
        ids = {trial.id for one in self.asked for seed in one.seeds for trial in one.pair(seed)}
        columns = to_columns(record for name, record in records.items() if name in ids)
        claims = list({one.claim.id: one.claim for one in self.asked}.values())
        history = self._history() if self._history is not None else None
        found: dict[tuple[str, tuple[str, ...]], tuple[Word, Evidence]] = {}
        for case, size in in_families(find_cases(columns, claims, self._seeds, history, self._fixed)):
            if case.comparison is not None and case.comparison.seeds:
                evidence = Evidence(case.claim, case.comparison, size, None, case.bounds, tested=not case.obstacle)
                levels = {**case.comparison.cell, case.comparison.axis: case.comparison.treatment.level}
                cell = (*(levels[name] for name in AXIS_FIELDS), levels["recipe"])
                found[case.claim.id, cell] = ("not_tested" if case.obstacle else decide(evidence)), evidence
        return [self._state(one, records, found.get((one.claim.id, one.cell))) for one in self.asked]

    def _state(self, asked: Question, records: Mapping[str, RunRecord], seen: tuple[Word, Evidence] | None) -> State:
        word: Word = "not_tested"
        evidence = None
        if seen is not None:
            word, evidence = seen
        pairs = evidence.pairs if evidence is not None else 0
        statuses = [[self._status(records, trial) for trial in asked.pair(seed)] for seed in asked.seeds]
        if asked.claim.rule != "fixed" and has_a_word(word):
            return State(asked, word, pairs, evidence, "decided")
        if all(None not in both for both in statuses):
            return State(asked, word, pairs, evidence, "all pairs")
        if asked.claim.rule != "fixed" and asked.claim.failed_pairs == "stop":
            stop = next((n for n, both in enumerate(statuses) if any(one not in (None, "done") for one in both)), None)
            if stop is not None and all(None not in both for both in statuses[:stop]):
                return State(asked, word, pairs, evidence, "blocked", asked.seeds[stop])
        return State(asked, word, pairs, evidence)

    @staticmethod
    def _status(records: Mapping[str, RunRecord], trial: Trial) -> str | None:
        record = records.get(trial.id)
        return None if record is None else record.status

    def _in_turn(
        self,
        states: Sequence[State],
        records: Mapping[str, RunRecord],
        fresh: Collection[str],
        waiting: Collection[str],
    ) -> list[list[Trial]]:
        """The trials that the next pair of each open question lacks, the most promising question first."""
        known = [state.evidence.gain for state in states if state.evidence is not None and state.pairs >= 2]
        pooled = pooled_sd([gain.sd for gain in known], [gain.n for gain in known])
        forecasts: list[Forecast | None] = []
        costs: list[float] = []
        lacking: list[list[Trial]] = []
        for state in states:
            trials = [] if state.end else self._lacking(state.question, records, fresh, waiting)
            lacking.append(trials)
            forecasts.append(self._forecast(state, pooled) if trials else None)
            costs.append(sum(self._cost(trial) for trial in trials))
        found = []
        while (place := next_claim(forecasts, costs)) is not None:
            found.append(lacking[place])
            forecasts[place] = None
        return found

    def _lacking(
        self, asked: Question, records: Mapping[str, RunRecord], fresh: Collection[str], waiting: Collection[str]
    ) -> list[Trial]:
        """The trials to run for the first pair that isn't there and isn't under way; none if there is no such pair."""
        for seed in asked.seeds:
            absent = [trial for trial in asked.pair(seed) if trial.id not in records]
            to_run = [trial for trial in absent if trial.id not in waiting]
            if any(trial.id not in fresh for trial in to_run):
                return []  # a cell that was given up: its claims can't go on
            if to_run:
                return to_run
        return []

    def _cost(self, trial: Trial) -> float:
        found = self._seconds(trial)
        return 1.0 if found is None else found

    def _forecast(self, state: State, pooled: float) -> Forecast:
        claim = state.question.claim
        left = len(state.question.seeds) - state.pairs
        evidence = state.evidence
        if claim.rule == "fixed":
            return Forecast(float(left), 1.0)
        if evidence is None or math.isnan(sd := shrunken_sd(evidence.gain.sd, state.pairs, pooled)):
            # Nothing is known: first come the pairs that any test needs.
            return Forecast(max(least_pairs(claim) - state.pairs, 1) / _FIRST, 1.0)
        gains = evidence.comparison.gains if evidence.bounds is None else evidence.bounds.low
        # As the state is unless the pairs change; sd moves with the other claims, and a coarse one serves.
        key = (claim.id, state.question.cell, gains, round(math.log(max(sd, 1e-3)), 1))
        if key not in self._forecasts:
            most = claim.max_pairs or LARGEST
            self._forecasts[key] = forecast(
                gains[:most], most, evidence.level, gain=evidence.gain.mean, sd=sd,
                gain_error=sd / math.sqrt(state.pairs), tests=tests_of_words(claim),
                levels=[evidence.level, evidence.level, SMALLER_LEVEL], draws=_DRAWS,
            )  # fmt: skip
        return self._forecasts[key]


def tests_of_words(claim: Claim) -> tuple[tuple[float, stats.Side], ...]:
    """What gives a claim a word: a gain, a loss, or less than the claimed gain less the margin."""
    other: stats.Side = "less" if claim.side == "greater" else "greater"
    least = claim.claimed_gain - stats.direction(claim.side) * claim.margin
    return ((0.0, claim.side), (0.0, other), (least, other))
