"""Simulates three rules that allocate a shared budget of pairs to ten claims. Part of `benchmarks.sequential`."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from benchmarks.documents import markdown
from benchmarks.rows import Row
from benchmarks.verdicts import Figures
from suite.store.canonical import derive_seed
from suite.verdict.stats.gains import holm, paired_gain
from suite.verdict.stats.planning import Forecast, Test, forecast, next_claim, pooled_sd, shrunken_sd
from suite.verdict.stats.sequential import FIRST_LOOK, sequential_p

ALPHA, LARGEST = 0.05, 20
BUDGETS = (5, 10, 20)  # pairs per claim on average
RULES = ("one look", "round robin", "greedy")
# True gains of the ten claims in standard deviations: either all are real, or three of them are zero.
MIXES = {"0.4 to 2.5 sd": np.linspace(0.4, 2.5, 10), "three of none": np.r_[np.zeros(3), np.linspace(0.5, 2.5, 7)]}

_DRAWS = 60  # random draws of one forecast
_TESTS: tuple[Test, ...] = ((0.0, "greater"),)


class Claims:
    """Ten claims under test. Their gains are drawn in advance, and revealed pair by pair."""

    def __init__(self, gains: npt.NDArray[np.float64]) -> None:
        """Begin with `FIRST_LOOK` pairs of each claim. `gains` has the shape [claims, LARGEST]."""
        self._gains = gains
        self.pairs = [FIRST_LOOK] * len(gains)
        self._p = [sequential_p(self.known(place), LARGEST) for place in range(len(gains))]
        self._forecasts: dict[tuple[int, int, float], Forecast] = {}

    def known(self, place: int) -> list[float]:
        """Return the gains of a claim that are revealed so far."""
        listed: list[float] = self._gains[place, : self.pairs[place]].tolist()
        return listed

    def add(self, place: int) -> None:
        """Reveal one further pair of a claim."""
        self.pairs[place] += 1
        self._p[place] = sequential_p(self.known(place), LARGEST)

    def decided(self) -> list[bool]:
        """Return for each claim whether it is significant after Holm's adjustment."""
        return [p < ALPHA for p in holm(self._p)]

    def next_in_turn(self, open_claims: list[int]) -> int:
        """Return the open claim with the fewest pairs."""
        return min(open_claims, key=lambda place: self.pairs[place])

    def next_by_forecast(self, open_claims: list[int]) -> int:
        """Return the open claim that is forecast to be decided soonest."""
        found = [paired_gain(self.known(place)) for place in range(len(self.pairs))]
        pooled = pooled_sd([one.sd for one in found], self.pairs)
        level = ALPHA / (len(self.pairs) - sum(self.decided()))
        forecasts: list[Forecast | None] = [None] * len(self.pairs)
        for place in open_claims:
            key = (place, self.pairs[place], level)
            if key not in self._forecasts:
                sd = shrunken_sd(found[place].sd, self.pairs[place], pooled)
                self._forecasts[key] = forecast(
                    self.known(place), LARGEST, level, gain=found[place].mean, sd=sd,
                    gain_error=sd / math.sqrt(self.pairs[place]), tests=_TESTS, draws=_DRAWS,
                )  # fmt: skip
            forecasts[place] = self._forecasts[key]
        chosen = next_claim(forecasts, [1.0] * len(self.pairs))
        return open_claims[0] if chosen is None else chosen


def _spend(gains: npt.NDArray[np.float64], rule: str, budget: int) -> tuple[int, int]:
    """Spend a budget of pairs by a rule.

    Args:
        gains: [claims, LARGEST].
        rule: one of `RULES`.
        budget: pairs per claim on average.

    Returns:
        The number of decided claims, and the number of pairs spent.
    """
    if rule == "one look":
        n = budget // len(gains)
        return sum(p < ALPHA for p in holm([paired_gain(one[:n].tolist()).p_greater for one in gains])), budget
    claims = Claims(gains)
    while True:
        decided = claims.decided()
        open_claims = [place for place, done in enumerate(decided) if not done and claims.pairs[place] < LARGEST]
        if not open_claims or sum(claims.pairs) >= budget:
            return sum(decided), sum(claims.pairs)
        claims.add(
            claims.next_in_turn(open_claims) if rule == "round robin" else claims.next_by_forecast(open_claims)
        )  # fmt: skip


def simulate(families: int) -> Figures:
    """Simulate families of ten claims with different standard deviations: decided claims and spent pairs by rule."""
    found = []
    for mix, effects in MIXES.items():
        rng = np.random.default_rng(derive_seed("greedy", mix))
        drawn = []
        for _ in range(families):
            sds = 0.5 * np.exp(rng.normal(0, 0.4, effects.size))
            drawn.append(sds[:, None] * (effects[:, None] + rng.standard_normal((effects.size, LARGEST))))
        for each in BUDGETS:
            for rule in RULES:
                told = np.array([_spend(one, rule, each * effects.size) for one in drawn], dtype=np.float64)
                decided, spent = told.mean(axis=0)
                found.append({"mix": mix, "budget": each, "rule": rule, "families": families,
                              "decided": float(decided), "pairs": float(spent) / effects.size})  # fmt: skip
    return {"greedy": found}


def rows(figures: Figures) -> list[Row]:
    """Return the check: from ten pairs per claim on, greedy decides at least as many claims as one look does."""
    by_rule = {(row["mix"], row["budget"], row["rule"]): row for row in figures["greedy"]}
    found = []
    for mix in MIXES:
        greedy, single = (by_rule[mix, 10, rule] for rule in ("greedy", "one look"))
        slack = 4 / math.sqrt(greedy["families"])
        found.append(
            Row(
                f"claims decided by greedy, {mix}, 10 pairs each",
                greedy["decided"],
                10.0,
                single["decided"] - slack,
                "",
            )
        )
        spent = by_rule[mix, 20, "greedy"]["pairs"]
        found.append(Row(f"pairs per claim that greedy spends, {mix}, of 20", spent, 15.0, 0.0, ""))
    return found


def tables(figures: Figures) -> Mapping[str, str]:
    """Return this module's table of docs/statistics.md, by name."""
    return {
        "greedy": markdown(
            ("true gains", "pairs each", *RULES),
            ([mix, str(each), *(
                f"{row['decided']:.1f} with {row['pairs']:.1f}"
                for rule in RULES for row in figures["greedy"]
                if (row["mix"], row["budget"], row["rule"]) == (mix, each, rule)
            )] for mix in MIXES for each in BUDGETS),
        )
    }  # fmt: skip
