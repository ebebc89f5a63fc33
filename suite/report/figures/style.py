"""Colours, line styles and the SVG output that all figures share."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from suite.grid.axes import COLUMN_ORDER, is_usual, level_order
from suite.report.templates import asset

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


# The colours of Okabe and Ito, which are distinguishable with any kind of colour vision; grey is the baseline. In the
# page they are the CSS variables --c0, --c1, ... Further levels repeat the colours with another dash.
PALETTE = ("#6b7280", "#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#8c6d00")
DASHES = ("-", (0, (4, 1.5)), (0, (1, 1.2)))
_FIXED = {"default": 0, "lape": 1, "unshared": 2, "lape_shared": 3, "shared": 5}
INK, LINE = "#24292f", "#d0d7de"
_VARIABLES = {INK: "--ink", LINE: "--line", **{colour: f"--c{number}" for number, colour in enumerate(PALETTE)}}
_STYLE: dict[Any, Any] = {
    "svg.hashsalt": "suite",
    "svg.fonttype": "none",  # keep text as text, not as outlines
    "text.parse_math": False,  # a $ in a label doesn't start a formula
    "font.family": "DejaVu Sans",  # included in matplotlib, so text widths are the same on all machines
    "font.size": 8.5,
    "text.color": INK,
    "axes.edgecolor": LINE,
    "axes.labelcolor": INK,
    "axes.facecolor": "none",
    "figure.facecolor": "none",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "grid.color": LINE,
    "grid.linewidth": 0.6,
    "xtick.color": LINE,
    "ytick.color": LINE,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "lines.linewidth": 1.6,
}


def colour_number(join: str) -> int:
    """The index of a join's colour in `PALETTE`."""
    return line_style(join) % len(PALETTE)


def line_style(join: str) -> int:
    """The index of a join among the combinations of `PALETTE` and `DASHES`."""
    if join in _FIXED:
        return _FIXED[join]
    free = [place for place in range(len(PALETTE) * len(DASHES)) if place not in _FIXED.values()]
    place, name = level_order("join", join)
    return free[(place + sum(name.encode())) % len(free)]


def panel_title(cell: Mapping[str, str], vary: set[str]) -> str:
    """The title of a panel: the levels of its cell that aren't usual or that differ between panels.

    Args:
        cell: the levels of the cell.
        vary: the axes whose levels differ between panels.
    """
    named = [name for name in COLUMN_ORDER if name not in ("dataset", "join")]  # each join has a line of its own
    parts = [cell[name] for name in named if not is_usual(name, cell[name])]
    parts += [cell[name] for name in ("dataset", "recipe") if name in vary]
    if "recipe_id" in vary:
        parts.append(cell["recipe_id"][:8])
    return " · ".join(parts)


def new_figure(width: float, height: float) -> tuple[Figure, Axes]:
    """A figure of this size (inches) with one set of axes. Call it within `style`."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height))
    return figure, figure.add_subplot()


@contextmanager
def style() -> Iterator[None]:
    """A context in which matplotlib uses the common style of all figures."""
    from matplotlib import rc_context

    with rc_context(_STYLE):
        yield


def to_svg(figure: Figure, name: str) -> str:
    """The figure as an `svg` element. Its ids begin with `name`, so that one page can hold several figures."""
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
    text = buffer.getvalue()
    # Remove the style sheet: inside the SVG, it would apply to the whole page.
    text = re.sub(r"<defs>\s*<style.*?</style>\s*</defs>", "", text[text.index("<svg") :], count=1, flags=re.DOTALL)
    text = re.sub(r'(\bid="|\burl\(#|href="#)', rf"\1{name}-", text)
    text = _shorter(text)
    for colour, variable in _VARIABLES.items():
        text = text.replace(f": {colour}", f": var({variable}, {colour})")
    return text.replace("'DejaVu Sans'", "var(--sans, system-ui), sans-serif")


def svg_file(drawing: str) -> str:
    """A drawing as a file of its own: with an XML head, and in the page's dark colours for readers who prefer them."""
    dark = re.findall(r"prefers-color-scheme: dark\) \{\s*:root \{(.*?)\}", asset("base.css"), re.DOTALL)[0]
    colours = " ".join(re.findall(r"--(?:ink|line|c\d): #\w+;", dark))
    rule = f"<style>@media (prefers-color-scheme: dark) {{ :root {{ {colours} }} }}</style>"
    return '<?xml version="1.0" encoding="utf-8"?>\n' + re.sub(
        r"<svg[^>]*>", lambda tag: tag[0] + rule, drawing, count=1
    )


def _shorter(text: str) -> str:
    """The same drawing in about half the bytes: places to 0.1 px, and neither unused ids nor indentation."""
    used = set(re.findall(r'(?:url\(#|href="#)([^")]+)', text))
    text = re.sub(r' id="([^"]*)"', lambda found: found[0] if found[1] in used else "", text)
    text = re.sub(r' transform="rotate\(-0 [^"]*\)"', "", text)
    text = re.sub(r">\s*\n\s*<", ">\n<", text)
    return re.sub(r'(?<=[ \n])(?:d|x|y|cx|cy|transform)="[^"<>]*"', lambda found: _rounded(found[0]), text)


def _rounded(attribute: str) -> str:
    attribute = re.sub(r"-?\d+\.\d\d+(?:e-?\d+)?", lambda number: f"{round(float(number[0]), 1):g}", attribute)
    return re.sub(r"\s*\n\s*|(?<=[MLCQ]) ", "", attribute)
