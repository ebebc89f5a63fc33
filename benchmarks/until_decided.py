"""`lape run --until-decided` on claims of known truth, against a fixed number of pairs. A part of `known_truth`.

What chooses the pairs is `suite.verdict.deciding.Deciding`, as in a real run; only the training is left out. Ten claims
have gains of different size and spread. A family's claims are judged by `suite.verdict.judge` whenever a budget is
spent.
"""

from __future__ import annotations

import tempfile
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from benchmarks.documents import markdown
from benchmarks.greedy import MIXES
from benchmarks.grids import CELLS, expand
from benchmarks.grids import record as empty_record
from benchmarks.known_runs import ALPHA, FAMILY, LARGEST, MARGIN, Floats, random_numbers
from benchmarks.rows import Row
from benchmarks.verdicts import Figures
from suite.grid.trial import Trial
from suite.store.frames import to_columns
from suite.store.record import RunRecord
from suite.verdict.claims.claim import Claim
from suite.verdict.deciding import Deciding, questions
from suite.verdict.verdicts import has_a_word, judge

BUDGETS = (5, 10, 20)  # pairs per claim on average
ONE_LOOK, GREEDY = "one look", "until decided"
SPREAD = 0.5  # points; the standard deviations of ten claims are log-normal around it


def greedy(number: int) -> Iterator[Figures]:
    """Families of ten claims: how many have a word after a budget of pairs, and how many pairs that took.

    Yields:
        A row for each mix, budget and rule: a single look at a fixed number of pairs, or greedy up to N = 20 pairs.
    """
    trials = _trials()
    for mix, effects in MIXES.items():
        rng = random_numbers("until decided", mix)
        pairs: dict[tuple[int, str], list[int]] = defaultdict(list)
        decided: dict[tuple[int, str], list[int]] = defaultdict(list)
        for _ in range(number):
            sds = SPREAD * np.exp(rng.normal(0, 0.4, FAMILY))
            gains = sds[:, None] * (effects[:, None] + rng.standard_normal((FAMILY, LARGEST)))
            claimed = sds * np.where(effects > 0, effects, 1.0)
            simulated = _Simulated(trials, gains, claimed)
            order = simulated.until_decided()
            for budget in BUDGETS:
                fixed = [simulated.record(trial) for trial in trials if trial.seed_index < budget]
                for rule, bought in ((ONE_LOOK, fixed), (GREEDY, order[: 2 * budget * FAMILY])):
                    pairs[budget, rule].append(len(bought) // 2)
                    decided[budget, rule].append(simulated.decided(bought, sequential=rule == GREEDY))
        for (budget, rule), found in decided.items():
            yield {"mix": mix, "budget": budget, "rule": rule, "families": number,
                   "decided": float(np.mean(found)), "pairs": float(np.mean(pairs[budget, rule])) / FAMILY}  # fmt: skip


def _trials() -> list[Trial]:
    """The trials of ten cells with two sides each, of `LARGEST` seeds."""
    with tempfile.TemporaryDirectory() as folder:
        every = expand(Path(folder), CELLS * LARGEST).trials
    return [one for one in every if one.join in ("default", "lape") and one.axis("dataset") == "cifar10"]


class _Simulated:
    """Ten claims on cells whose gains are drawn in advance.

    Args:
        trials: those of `_trials`.
        gains: in points, [claims, LARGEST].
        claimed: the claimed gains, [claims].
    """

    def __init__(self, trials: Sequence[Trial], gains: Floats, claimed: Floats) -> None:
        self._trials, self._gains = {trial.id: trial for trial in trials}, gains
        self._places = {name: place for place, name in enumerate(sorted({one.axis("arch") for one in trials}))}
        self._claims = {
            most: [_claim(name, float(claimed[place]), most) for name, place in self._places.items()]
            for most in (None, LARGEST)
        }

    def record(self, trial: Trial) -> RunRecord:
        """The record of a trial, without training."""
        top1 = 50 + 0.1 * (trial.seed_index % 7)
        if trial.join == "lape":
            top1 += float(self._gains[self._places[trial.axis("arch")], trial.seed_index])
        return empty_record(trial).model_copy(update={"top1": top1, "top1_best_epoch": top1, "test_loss": None})

    def until_decided(self) -> list[RunRecord]:
        """The records in the order in which a run until decided trains them, one pair at a time."""
        seeds = range(LARGEST)
        chooses = Deciding(
            questions(self._claims[LARGEST], list(self._trials.values()), seeds, LARGEST), seeds, LARGEST
        )
        records: dict[str, RunRecord] = {}
        while chosen := chooses(records, self._trials.keys() - records.keys(), ()):
            records |= {name: self.record(self._trials[name]) for name in chosen}
        return list(records.values())

    def decided(self, records: Sequence[RunRecord], *, sequential: bool) -> int:
        """How many claims have a word by these records."""
        verdicts = judge(to_columns(records), self._claims[LARGEST if sequential else None])
        return sum(has_a_word(verdict.word) for verdict in verdicts)


def _claim(arch: str, gain: float, most: int | None) -> Claim:
    return Claim.model_validate(
        {
            "id": arch, "paper": "none", "version": "none", "table": "0", "row": "any", "kind": "published",
            "published_runs": 1_000_000, "claimed_gain": gain, "margin": MARGIN * gain, "alpha": ALPHA,
            "max_pairs": most, "family_size": FAMILY,
            "contrast": {"axis": "join", "baseline": "default", "treatment": "lape",
                         "match": {"arch": arch, "dataset": "cifar10"}},
        }
    )  # fmt: skip


def rows(figures: Figures) -> list[Row]:
    """The checks: greedy decides as many claims as a single look at equal compute, and spends much less than N = 20."""
    by_rule = {(row["mix"], row["budget"], row["rule"]): row for row in figures["greedy"]}
    found = []
    for mix in MIXES:
        for budget in BUDGETS[:-1]:
            one, other = (by_rule[mix, budget, rule] for rule in (GREEDY, ONE_LOOK))
            found.append(Row(f"claims decided by greedy, {mix}, {budget} pairs each", one["decided"], FAMILY,
                             other["decided"]))  # fmt: skip
        spent = by_rule[mix, LARGEST, GREEDY]["pairs"]
        found.append(Row(f"pairs per claim that greedy spends, {mix}, of {LARGEST}", spent, 0.75 * LARGEST))
    return found


def tables(figures: Figures) -> Mapping[str, str]:
    """The table of this part in docs/statistics.md, by name."""
    by_rule = {(row["mix"], row["budget"], row["rule"]): row for row in figures["greedy"]}

    def cell(row: Figures) -> str:
        return f"{row['decided']:.1f} with {row['pairs']:.1f}"

    return {
        "truth_greedy": markdown(
            ("true gains", "pairs each", ONE_LOOK, GREEDY),
            ([mix, str(budget), *(cell(by_rule[mix, budget, rule]) for rule in (ONE_LOOK, GREEDY))]
             for mix in MIXES for budget in BUDGETS),
        )
    }  # fmt: skip
