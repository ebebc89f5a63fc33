"""Figures over the levels of a setting: accuracy, gain, and both sides' training curves laid over each other."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import TYPE_CHECKING

from suite.grid.settings import number_of
from suite.report.figures.kept import drawn
from suite.report.figures.style import DASHES, INK, PALETTE, colour_number, style, to_svg
from suite.report.tables.by_level import Series
from suite.verdict import stats
from suite.verdict.comparisons import Comparison, Side
from suite.verdict.training_curves import Curve

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_DASHES = (*DASHES, (0, (6, 1.2, 1, 1.2)), (0, (6, 1.2, 1, 1.2, 1, 1.2)), (0, (8, 3)))
_LOG_FROM = 7.5  # the ratio of the largest to the smallest level from which the axis is logarithmic
MOST = 24  # drawings of a report


def draw_series(found: Sequence[Series], curves: Mapping[str, Curve]) -> dict[str, str]:
    """Each series as SVG, by name: accuracies and gains with 95 % t intervals over pairs, and the training curves."""
    named = {f"levels-{number + 1:02d}": one for number, one in enumerate(found[:MOST])}
    inputs = {name: (one, [_tested(one, curves)]) for name, one in named.items()}
    return drawn(inputs, lambda names: {name: _draw(named[name], curves, name) for name in names})


def _tested(one: Series, curves: Mapping[str, Curve]) -> list[Curve]:
    return [
        curves.get(trial, ())
        for _, comparison in one.points
        for side in (comparison.baseline, comparison.treatment)
        for trial in side.trials.values()
    ]


def _draw(one: Series, curves: Mapping[str, Curve], name: str) -> str:
    from matplotlib.figure import Figure

    with style():
        figure = Figure(figsize=(9.6, 2.9))
        left, middle, right = figure.subplots(1, 3)
        figure.subplots_adjust(left=0.06, right=0.9, bottom=0.17, top=0.89, wspace=0.27)
        _accuracies(left, one)
        _gains(middle, one)
        _curves(right, one, curves)
        for axes in (left, middle, right):
            axes.grid(axis="y")
        return to_svg(figure, name)


def _places(one: Series) -> tuple[list[float], bool]:
    """The x of each level, and whether they stand on a logarithmic axis. Levels that are no numbers stand in a row."""
    numbers = [number_of(level) for level, _ in one.points]
    known = [number for number in numbers if number is not None and math.isfinite(number)]
    if len(known) < len(numbers):
        return [float(place) for place in range(len(numbers))], False
    return known, min(known) > 0 and max(known) / min(known) >= _LOG_FROM


def _x_axis(axes: Axes, one: Series) -> list[float]:
    places, log = _places(one)
    if log:
        axes.set_xscale("log")
    axes.set_xticks(places, [level for level, _ in one.points])
    axes.set_xticks([], minor=True)
    axes.set_xlabel(one.key)
    return places


def _accuracies(axes: Axes, one: Series) -> None:
    places = _x_axis(axes, one)
    for of_treatment in (False, True):
        level = one.treatment if of_treatment else one.baseline
        sides = [comparison.treatment if of_treatment else comparison.baseline for _, comparison in one.points]
        values = [[side.values[seed] for seed in pair.seeds] for side, (_, pair) in zip(sides, one.points, strict=True)]
        _line(axes, places, values, PALETTE[colour_number(level)], level)
    axes.set_ylabel("top-1 (%)")
    low, high = axes.get_ylim()
    axes.set_ylim(max(low, 0), min(high, 101))
    axes.legend(frameon=False, fontsize=8, loc="lower center", bbox_to_anchor=(0.5, 0.99), ncols=2)  # above all bars


def _gains(axes: Axes, one: Series) -> None:
    gains = [comparison.gains for _, comparison in one.points]
    _line(axes, _x_axis(axes, one), gains, PALETTE[colour_number(one.treatment)], "")
    axes.axhline(0, color=INK, linewidth=0.8)
    axes.set_ylabel(f"gain of {one.treatment} (points)")


def _line(axes: Axes, places: Sequence[float], values: Sequence[Sequence[float]], colour: str, label: str) -> None:
    """The values of each place as faint dots, and their means with 95 % t intervals."""
    means = [stats.paired_gain(part) for part in values]  # of plain values: their mean with its interval
    for place, part in zip(places, values, strict=True):
        axes.plot([place] * len(part), part, color=colour, linestyle="none", marker="o", markersize=3.5,
                  markerfacecolor="none", markeredgewidth=0.8, alpha=0.7)  # fmt: skip
    below = [0.0 if math.isnan(mean.low) else mean.mean - mean.low for mean in means]
    above = [0.0 if math.isnan(mean.high) else mean.high - mean.mean for mean in means]
    axes.errorbar(places, [mean.mean for mean in means], [below, above], color=colour, marker="o", markersize=4,
                  capsize=2.5, elinewidth=1.1, label=label)  # fmt: skip


def _curves(axes: Axes, one: Series, curves: Mapping[str, Curve]) -> None:
    last = 1
    for number, (_, comparison) in enumerate(one.points):
        for side in (comparison.baseline, comparison.treatment):
            epochs, means = _mean_curve(side, comparison, curves)
            if epochs:
                colour, dash = PALETTE[colour_number(side.level)], _DASHES[number % len(_DASHES)]
                fading = 1 - 0.6 * number / max(len(one.points), 2)
                axes.plot(epochs, means, color=colour, linestyle=dash, alpha=fading, linewidth=1.3)
                last = max(last, *epochs)
    if last >= 8 * min(len(one.points), 4):
        axes.set_xscale("log")
        ticks = [tick for tick in (1, 3, 10, 30, 100, 300, 1000) if tick <= last]
        axes.set_xticks(ticks, [str(tick) for tick in ticks])
        axes.set_xticks([], minor=True)
    for number, (level, _) in enumerate(one.points):  # the key of the dashes; colours are those of the left panel
        axes.plot([], [], color=INK, linestyle=_DASHES[number % len(_DASHES)], linewidth=1.1, label=level)
    axes.legend(frameon=False, fontsize=7, title=one.key, title_fontsize=7, loc="center left",
                bbox_to_anchor=(1, 0.5), handlelength=3)  # fmt: skip
    axes.set_xlabel("epoch")
    axes.set_ylabel("top-1 (%), mean over pairs")


def _mean_curve(side: Side, comparison: Comparison, curves: Mapping[str, Curve]) -> tuple[list[int], list[float]]:
    found: dict[int, list[float]] = defaultdict(list)
    for seed in comparison.seeds:
        for epoch, top1 in curves.get(side.trials[seed], ()):
            found[epoch].append(top1)
    whole = {epoch: values for epoch, values in found.items() if len(values) == len(comparison.seeds)}
    return sorted(whole), [fmean(whole[epoch]) for epoch in sorted(whole)]
