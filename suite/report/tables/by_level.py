"""Tables over the levels of a setting: accuracy and gain at each, and the epochs to a stated accuracy."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from suite.grid.axes import is_usual
from suite.grid.settings import SETTINGS
from suite.report.tables.rows import Row
from suite.report.tables.summary import gain_text, mean_sd
from suite.report.tables.table import NONE, Column, Table, budget_note
from suite.report.tables.variation import AXIS as VARY
from suite.report.tables.variation import variation_table
from suite.store.record import AXIS_FIELDS
from suite.text import interval, points
from suite.verdict import stats
from suite.verdict.comparisons import Comparison, Side
from suite.verdict.setting_levels import setting_order, without_settings
from suite.verdict.training_curves import STILL_MOVES, Curve, last_tenths, reached


@dataclass(frozen=True)
class Series:
    """The comparisons of one treatment with its baseline at each level of a setting.

    Args:
        axis: the setting.
        tied: the settings that differ along with it.
        title: the levels that all of them share.
        baseline: the level that is compared with.
        treatment: the level whose gain it is.
        points: each level of the setting, with the comparison at it; in rising order.
    """

    axis: str
    tied: tuple[str, ...]
    title: str
    baseline: str
    treatment: str
    points: tuple[tuple[str, Comparison], ...]

    @property
    def key(self) -> str:
        """The setting's name without `recipe.` or `size.`."""
        return SETTINGS[self.axis].key

    def level(self, comparison: Comparison) -> str:
        """The levels at a point, those of tied settings too."""
        tied = [f"{SETTINGS[name].key} {comparison.level(name)}" for name in self.tied]
        return ", ".join([comparison.level(self.axis), *tied])


def all_series(rows: Sequence[Row], axes: Sequence[Sequence[str]]) -> list[Series]:
    """The series of a grid.

    Args:
        rows: the cells with their comparisons.
        axes: the grid's settings, each with those that are tied to it.
    """
    found = []
    compared = [row.comparison for row in rows if row.comparison is not None and row.comparison.baseline.settings]
    for axis, *tied in axes:
        groups: dict[tuple[str, ...], list[Comparison]] = {}
        for one in compared:
            run = {**one.cell, "trial_id": "", "settings": one.baseline.settings}
            cell = without_settings(run, (axis, *tied))
            others = [name for name in (*AXIS_FIELDS, "recipe") if name in one.cell]
            shown = [cell[name] for name in others if not is_usual(name, cell[name]) and name != "recipe"]
            key = (
                one.axis,
                one.baseline.level,
                one.treatment.level,
                " ".join(shown),
                cell["recipe"],
                cell["recipe_id"],
            )
            groups.setdefault(key, []).append(one)
        groups = {key: members for key, members in groups.items() if len(members) > 1}
        several = len({key[4] for key in groups}) > 1
        for (_, base, treated, shared, recipe, _), members in groups.items():
            members.sort(key=lambda one: setting_order(one.level(axis)))
            at = tuple((one.level(axis), one) for one in members)
            title = f"{shared}, {recipe}" if several else shared
            found.append(Series(axis, tuple(tied), title, base, treated, at))
    return found


def level_tables(
    found: Sequence[Series], curves: Mapping[str, Curve], accuracies: Sequence[float] = (), budget: str = ""
) -> list[Table]:
    """A table for each setting, and one of the epochs to each stated accuracy.

    Args:
        found: the series.
        curves: the tested epochs of each run, by trial id; empty if they can't be read.
        accuracies: the stated accuracies, in percent.
        budget: how the grid is smaller than the paper's experiment (see `budget_note`); empty if it isn't.
    """
    tables = []
    for axis in dict.fromkeys(one.axis for one in found):
        series = [one for one in found if one.axis == axis]
        tables.append(_by_level(series, curves, budget))
        if axis == VARY:
            tables.append(variation_table(series, budget))
        if curves:  # without them no run would seem to reach anything
            tables += [_to_reach(series, curves, accuracy, budget) for accuracy in accuracies]
    return tables


def _side(side: Side, comparison: Comparison) -> stats.Spread:
    return stats.spread([side.values[seed] for seed in comparison.seeds])


def _by_level(series: Sequence[Series], curves: Mapping[str, Curve], budget: str) -> Table:
    rows, records = [], []
    for one in series:
        for level, comparison in one.points:
            sides = (comparison.baseline, comparison.treatment)
            spreads = [_side(side, comparison) for side in sides]
            moved = last_tenths(comparison, curves)
            gain = comparison.gain
            rows.append((
                one.title, one.level(comparison), f"{one.treatment} vs {one.baseline}",
                *(mean_sd(spread) for spread in spreads), gain_text(gain), str(gain.n),
                *(NONE if math.isnan(move) else points(move) for move in moved),
            ))  # fmt: skip
            records.append({
                "cell": one.title, one.axis: level, **{name: comparison.level(name) for name in one.tied},
                "baseline": one.baseline, "treatment": one.treatment,
                "baseline_top1": spreads[0].mean, "baseline_sd": spreads[0].sd, "treatment_top1": spreads[1].mean,
                "treatment_sd": spreads[1].sd, "gain": gain.mean, "gain_low": gain.low, "gain_high": gain.high,
                "pairs": gain.n, "baseline_last_tenth": moved[0], "treatment_last_tenth": moved[1],
            })  # fmt: skip
    key = series[0].key
    moving = (
        "Last tenth: by how many points the last tenth of training changes top-1, a mean over runs. Cells in which it "
        f"is more than {STILL_MOVES:g} aren't converged."
    )
    columns = (
        Column("cell", "Cell", text=True, constant=True, wraps=True), Column("level", key, text=False),
        Column("contrast", "Contrast", text=True, constant=True), Column("baseline", "Baseline top-1 (%)"),
        Column("treatment", "Treatment top-1 (%)"), Column("gain", "Gain (points) [95 %]", interval=True),
        Column("pairs", "Pairs"), Column("base_moved", "Last tenth, baseline", terminal="wide"),
        Column("treated_moved", "Last tenth, treatment", terminal="wide"),
    )  # fmt: skip
    return Table(f"by_{key}", f"Accuracy and gain by {key}", columns, tuple(rows), tuple(records), tuple(records[0]),
                 below=(*budget_note(budget), "Mean ± standard deviation over pairs. " + moving))  # fmt: skip


def _to_reach(series: Sequence[Series], curves: Mapping[str, Curve], accuracy: float, budget: str) -> Table:
    rows, records = [], []
    for one in series:
        for level, comparison in one.points:
            at = [
                [reached(curves.get(side.trials[seed], ()), accuracy) for seed in comparison.seeds]
                for side in (comparison.baseline, comparison.treatment)
            ]
            both = [
                (base, treated) for base, treated in zip(*at, strict=True) if base is not None and treated is not None
            ]
            gain = stats.paired_gain([treated - base for base, treated in both])
            means = [stats.spread([pair[side] for pair in both]) for side in (0, 1)]
            never = [sum(epoch is None for epoch in side) for side in at]
            images = comparison.level("recipe.train_images")
            times = float(images) if images not in ("", "null") else math.nan
            rows.append((
                one.title, one.level(comparison), f"{one.treatment} vs {one.baseline}", *map(mean_sd, means),
                NONE if not gain.n else f"{points(gain.mean)} {interval(gain.low, gain.high)}" if gain.n > 1
                else points(gain.mean),
                str(gain.n), *(f"{count} of {len(comparison.seeds)}" for count in never),
            ))  # fmt: skip
            records.append({
                "cell": one.title, one.axis: level, "accuracy": accuracy, "baseline": one.baseline,
                "treatment": one.treatment, "baseline_epochs": means[0].mean, "treatment_epochs": means[1].mean,
                "difference": gain.mean, "difference_low": gain.low, "difference_high": gain.high, "pairs": gain.n,
                "baseline_images": means[0].mean * times, "treatment_images": means[1].mean * times,
                "baseline_never": never[0], "treatment_never": never[1],
            })  # fmt: skip
    key = series[0].key
    columns = (
        Column("cell", "Cell", text=True, constant=True, wraps=True), Column("level", key),
        Column("contrast", "Contrast", text=True, constant=True), Column("baseline", "Baseline epochs"),
        Column("treatment", "Treatment epochs"), Column("difference", "Difference [95 %]", interval=True),
        Column("pairs", "Pairs"), Column("base_never", "Baseline never"), Column("treated_never", "Treatment never"),
    )  # fmt: skip
    below = (
        f"The first tested epoch with at least {accuracy:g} % top-1: mean ± standard deviation over the pairs of which "
        "both sides reach it. Never: runs that don't. Pairs with such a run are in no mean, which then favours the "
        "side with more of them."
    )
    name = f"reach_{accuracy:g}_by_{key}".replace(".", "_")
    return Table(name, f"Epochs to {accuracy:g} % by {key}", columns, tuple(rows), tuple(records), tuple(records[0]),
                 below=(*budget_note(budget), below))  # fmt: skip
