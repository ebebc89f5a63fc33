"""Published hardware-dependent training costs. On other hardware, only their ratios can be tested.

A table gives the time and memory of both sides as rounded numbers, so their ratio lies in an interval. The claim is
that the treatment costs no more than the upper end of this interval.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

from suite.bench.ratios import Ratio
from suite.verdict.claims.published import Value

Word = Literal["confirmed", "contradicted", "inconclusive"]

QUANTITIES: Mapping[str, str] = {"train_seconds_per_epoch": "time", "train_memory_mb": "memory"}


@dataclass(frozen=True)
class RatioVerdict:
    """A published ratio of treatment to baseline, and the measured one.

    The verdict is "confirmed" if the whole interval of the measured ratio is at most `high`, "contradicted" if all of
    it is above `high`, and "inconclusive" otherwise.

    Args:
        baseline: the published value of the baseline.
        treatment: the published value of the treatment.
        low: the smallest published ratio that the rounding allows.
        high: the largest one.
        measured: the measured ratio.
    """

    baseline: Value
    treatment: Value
    low: Fraction
    high: Fraction
    measured: Ratio

    @property
    def word(self) -> Word:
        """The verdict on the claim."""
        edges = (self.measured.low, self.measured.high)
        low, high = (self.measured.median if math.isnan(edge) else edge for edge in edges)
        if high <= self.high:
            return "confirmed"
        return "contradicted" if low > self.high else "inconclusive"

    @property
    def sentence(self) -> str:
        """The verdict as a sentence, with the published and the measured ratio."""
        ours = _percent(self.measured.median)
        if not math.isnan(self.measured.low):
            ours += f" [{_percent(self.measured.low)}, {_percent(self.measured.high)}]"
        printed = f"{self.baseline.printed} → {self.treatment.printed}"
        published = f"from {_percent(float(self.low))} to {_percent(float(self.high))}, as {printed} are rounded"
        quantity = QUANTITIES[self.treatment.metric]
        return f"{self.word}: {self.treatment.place}: {quantity} published {published}; measured {ours}"


def judge_ratios(
    values: Iterable[Value], arch: str, pe: str, baseline: str, treatment: str, measured: Mapping[str, Ratio]
) -> list[RatioVerdict]:
    """The verdicts on the published cost ratios of two joining methods for a model.

    Args:
        values: published values, from any tables.
        arch: the architecture.
        pe: the position embedding.
        baseline: the joining method of the baseline.
        treatment: the joining method of the treatment.
        measured: the measured ratio for each metric of `QUANTITIES` that was measured.
    """
    sides: dict[str, dict[str, Value]] = {}
    for value in values:
        if value.metric in measured and (value.cell.arch, value.cell.pe) == (arch, pe):
            sides.setdefault(value.metric, {})[value.cell.join] = value
    found = []
    for metric, by_join in sides.items():
        if baseline in by_join and treatment in by_join:
            one, other = by_join[baseline].interval, by_join[treatment].interval
            ratios = other.low / one.high, other.high / one.low
            found.append(RatioVerdict(by_join[baseline], by_join[treatment], *ratios, measured[metric]))
    return found


def _percent(ratio: float) -> str:
    return f"{100 * (ratio - 1):+.2f} %".replace("-", "−")
