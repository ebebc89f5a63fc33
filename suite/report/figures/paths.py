"""The path of a claim that is judged after each pair, as SVG text: gain and interval against pairs, and boundaries."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from suite.report.figures.kept import drawn
from suite.report.figures.style import INK, PALETTE, new_figure, style, to_svg
from suite.verdict.paths import Step, fell, steps
from suite.verdict.verdicts import Verdict

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_LEAST = 3  # pairs: before them nothing is tested
_BLUE, _ORANGE = PALETTE[1], PALETTE[2]


@dataclass(frozen=True)
class Drawn:
    """What a drawing shows.

    Args:
        name: the file name without a suffix.
        title: the claim.
        claimed: the claimed gain, in points.
        any_size: whether a gain of any size is claimed.
        most: the largest number of pairs; None if there is none.
        path: the looks.
    """

    name: str
    title: str
    claimed: float
    any_size: bool
    most: int | None
    path: tuple[Step, ...]

    @property
    def caption(self) -> str:
        """What became of the claim, in words."""
        last, at = self.path[-1], fell(self.path)
        most = f" of at most {self.most}" if self.most is not None else ""
        word = last.word.replace("_", " ")
        if at is not None:
            return f"{word} since pair {at.pairs}; {last.pairs} pairs{most}"
        return f"{word} after {last.pairs} pairs{most}"


def paths(verdicts: Sequence[Verdict]) -> list[Drawn]:
    """The paths of the claims that have been looked at."""
    found: list[Drawn] = []
    for verdict in verdicts:
        path = steps(verdict.evidence) if verdict.evidence is not None else ()
        if len(path) >= _LEAST:
            claim = verdict.claim
            name = f"path-{len(found) + 1:02d}"
            found.append(Drawn(name, claim.title, claim.claimed_gain, claim.any_size, claim.max_pairs, path))
    return found


def draw_paths(found: Sequence[Drawn]) -> dict[str, str]:
    """Each path as SVG, by its name. Cached drawings are reused."""
    named = {one.name: one for one in found}
    return drawn(named, lambda names: _draw([named[name] for name in names]))


def _draw(new: Sequence[Drawn]) -> dict[str, str]:
    drawings = {}
    with style():
        for one in new:
            figure, axes = new_figure(4.6, 2.7)
            figure.subplots_adjust(left=0.13, right=0.98, bottom=0.16, top=0.96)
            _draw_one(axes, one)
            drawings[one.name] = to_svg(figure, one.name)
    return drawings


def _draw_one(axes: Axes, one: Drawn) -> None:
    from matplotlib.ticker import MaxNLocator

    path = one.path
    axes.grid(axis="y")
    axes.axhline(0, color=INK, linewidth=0.8)
    if not one.any_size:
        axes.axhline(one.claimed, color=PALETTE[0], linewidth=1, linestyle=(0, (1, 1.5)))
    pairs = [step.pairs for step in path]
    tested = [step for step in path if math.isfinite(step.low)]
    at = [step.pairs for step in tested]
    axes.fill_between(
        at, [one.low for one in tested], [one.high for one in tested], color=_BLUE, alpha=0.16, linewidth=0
    )
    if len(tested) == 1:  # a band needs two looks
        axes.vlines(at, tested[0].low, tested[0].high, color=_BLUE, alpha=0.16, linewidth=12)
    axes.vlines(at, [one.low for one in tested], [one.high for one in tested], color=_BLUE, alpha=0.35, linewidth=0.8)
    axes.plot(pairs, [step.mean for step in path], color=_BLUE, marker="o", markersize=3)
    bounded = [step for step in path if math.isfinite(step.boundary)]
    for sign in (1, -1):
        axes.plot([step.pairs for step in bounded], [sign * step.boundary for step in bounded],
                  color=_ORANGE, linestyle=(0, (4, 1.5)), linewidth=1.2, marker="_", markersize=6)  # fmt: skip
    last = one.most or path[-1].pairs + 1
    axes.set_xlim(0.5, last + 0.5)
    axes.set_ylim(*_limits(one))
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=8))
    axes.set_xlabel("pairs")
    axes.set_ylabel("gain (points)")
    if (step := fell(path)) is not None:
        axes.axvline(step.pairs, color=INK, linewidth=0.8, linestyle=(0, (1, 1.2)))
        right = step.pairs <= last / 2
        axes.annotate(
            step.word.replace("_", " "), (step.pairs, 0.97), xycoords=("data", "axes fraction"),
            xytext=(4 if right else -4, 0), textcoords="offset points", va="top", ha="left" if right else "right",
        )  # fmt: skip


def _limits(one: Drawn) -> tuple[float, float]:
    """The limits of the y axis: the means, the claim, and the last look whole; wide intervals before it are cut."""
    means = [step.mean for step in one.path]
    low, high = min(0.0, *means), max(0.0, *means, 0.0 if one.any_size else one.claimed)
    span = max(high - low, 0.2)
    ends = [_ends(step) for step in one.path]
    lows, highs = [min(of_step) for of_step in ends if of_step], [max(of_step) for of_step in ends if of_step]
    bottom, top = max(min([low, *lows]), low - 1.5 * span), min(max([high, *highs]), high + 1.5 * span)
    last = ends[-1] or (low, high)
    bottom, top = min(bottom, *last), max(top, *last)
    span = max(span, (top - bottom) / 8)
    return bottom - 0.06 * span, top + 0.12 * span


def _ends(step: Step) -> tuple[float, ...]:
    """Interval and boundaries of a look, as far as they are finite."""
    return tuple(end for end in (step.low, step.high, step.boundary, -step.boundary) if math.isfinite(end))
