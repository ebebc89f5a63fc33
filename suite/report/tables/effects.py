"""Effects and sums of factorials as CSV, Markdown, LaTeX and HTML, and for a terminal."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from suite.report.tables import render
from suite.report.tables.render import NONE, budget_note, open_table
from suite.report.tables.summary import HEADS
from suite.store import files
from suite.text import csv_text, points, seed_list
from suite.verdict import stats
from suite.verdict.interactions import Effect, Factorial, Sum, two_sided
from suite.verdict.runs import recipe_ids_tell
from suite.verdict.stats.blocked import Levels

if TYPE_CHECKING:
    from rich.table import Table as RichTable

_CELL = tuple(HEADS[name] for name in ("dataset", "arch", "pe", "recipe", "recipe_id"))
_LEFT = (*_CELL, "Effect", "Combination", "The runs say", "Notes")

_DIFFERS, _EQUAL = "p differs", "p adds up"

_EFFECTS = (
    "Effects on top-1 of the last epoch, in percentage points. Of one method: its gain, a mean over the levels of the "
    "others. Of two (×): by how much the one's gain is larger with the other than without; of three: by how much that "
    "difference is."
)
_SUMS = (
    "Do the gains add up? Beside the sum of what each method gains alone stands what all of them gain together, in "
    "percentage points of top-1 of the last epoch."
)


@dataclass(frozen=True)
class Text:
    """A table of text. name: of its files. records: the same numbers, unrounded."""

    name: str
    caption: str
    table: pd.DataFrame
    below: tuple[str, ...]
    notes: tuple[str, ...]
    records: tuple[Mapping[str, Any], ...]


def texts(found: Sequence[Factorial], budget: str = "") -> list[Text]:
    """The table of effects and that of sums; none without a factorial. budget: see `budget_note`."""
    if not found:
        return []
    shown = _cell_columns(found)
    method = "Each is a contrast of cells, seed by seed, tested by t over n seeds [95 % interval]; nothing is imputed."
    return [
        _table(
            "effects",
            "Main effects and interactions",
            found,
            shown,
            lambda one: map(_effect, one.effects),
            lambda one: ((_effect_notes(one, effect), _effect_record(effect)) for effect in one.effects),
            [*budget_note(budget), _EFFECTS, f"{method} Against {_references(found)}. p: two-sided, by Holm over all "
             f"{sum(len(one.effects) for one in found)} effects."],
        ),
        _table(
            "sums",
            "Do the gains add up?",
            found,
            shown,
            lambda one: map(_sum, one.sums),
            lambda one: ((_notes(one, total.missing, total.seeds), _sum_record(total)) for total in one.sums),
            [*budget_note(budget), _SUMS, f"{method} {_margins(found)}"],
        ),
    ]  # fmt: skip


def _table(
    name: str,
    caption: str,
    found: Sequence[Factorial],
    shown: Sequence[str],
    lines: Callable[[Factorial], Iterator[dict[str, str]]],
    noted: Callable[[Factorial], Iterator[tuple[list[str], dict[str, Any]]]],
    below: Sequence[str],
) -> Text:
    notes: dict[str, int] = {}
    rows, records = [], []
    for one in found:
        for line, (told, record) in zip(lines(one), noted(one), strict=True):
            marks = [str(notes.setdefault(note, len(notes) + 1)) for note in told]
            rows.append({**{HEADS[key]: one.cell[key] for key in shown}, **line, "Notes": ", ".join(marks)})
            records.append({**one.cell, **record, "notes": "; ".join(told)})
    table = pd.DataFrame(rows)
    return Text(name, caption, table if notes else table.drop(columns="Notes"), tuple(below), tuple(notes),
                tuple(records))  # fmt: skip


def _cell_columns(found: Sequence[Factorial]) -> list[str]:
    """What tells the factorials apart."""
    vary = [name for name in found[0].cell if len({one.cell[name] for one in found}) > 1]
    tell = recipe_ids_tell(one.cell for one in found)
    return [name for name in vary if name != "recipe_id" or tell]


def _references(found: Sequence[Factorial]) -> str:
    told = {f"{axis} {levels[0]}" for one in found for axis, levels in one.axes.items()}
    return ", ".join(sorted(told))


def _margins(found: Sequence[Factorial]) -> str:
    sums = [one for factorial in found for one in factorial.sums]
    return (
        f"They add up where the gain is shown to be within {sums[0].margin:g} points of the sum (TOST); that margin "
        f"was fixed before any run. p of a difference is two-sided; both by Holm over all {len(sums)} combinations."
    )


# ── lines ─────────────────────────────────────────────────────────────────────────────────────────────


def _effect(effect: Effect) -> dict[str, str]:
    return {
        "Effect": " × ".join(effect.levels.values()),
        "n": str(effect.gain.n),
        "Points [95 %]": interval_text(effect.gain),
        "p": p_text(effect.p if effect.gain.n > 1 else math.nan),
        "p (Holm)": p_text(effect.p_adjusted),
        "The runs say": effect.word,
    }


def _sum(total: Sum) -> dict[str, str]:
    return {
        "Combination": combination(total.levels),
        "n": str(total.difference.n),
        "Sum of gains": points(total.predicted),
        "Gain together": points(total.observed),
        "Together − sum [95 %]": interval_text(total.difference),
        _DIFFERS: p_text(total.p_adjusted),
        _EQUAL: p_text(total.p_equivalent if total.difference.n > 1 else math.nan),
        "The runs say": total.word,
    }


def combination(levels: Mapping[str, str]) -> str:
    """Methods together: lape + dtn."""
    return " + ".join(levels.values())


def interval_text(gain: stats.PairedGain) -> str:
    """+0.31 [+0.05, +0.57]; a dash without a seed."""
    interval = f" [{points(gain.low)}, {points(gain.high)}]" if gain.n > 1 else ""
    return points(gain.mean) + interval if gain.n else NONE


def p_text(value: float) -> str:
    """0.043; < 0.001; a dash for NaN."""
    return NONE if math.isnan(value) else "< 0.001" if value < 1e-3 else f"{value:.3f}"


def _effect_notes(one: Factorial, effect: Effect) -> list[str]:
    notes = _notes(one, effect.missing, effect.seeds)
    if (
        effect.pooled is not None
        and effect.gain.n > 1
        and (effect.p < effect.alpha) != (effect.pooled.p < effect.alpha)
    ):
        notes.append(
            f"{' × '.join(effect.levels.values())}: a model that takes all cells to vary alike says "
            f"[{points(effect.pooled.low)}, {points(effect.pooled.high)}], p = {p_text(effect.pooled.p)} unadjusted"
        )
    return notes


def _notes(one: Factorial, missing: Sequence[Levels], seeds: Sequence[int]) -> list[str]:
    notes = []
    if missing:
        notes.append(f"can't be estimated: no finished run of {', '.join(' '.join(cell) for cell in missing)}")
    else:
        left_out = [seed for seed in one.incomplete if seed not in seeds]
        if left_out:
            cells = dict.fromkeys(" ".join(cell) for seed in left_out for cell in one.incomplete[seed])
            notes.append(f"{seed_list(left_out)} left out: not finished in {', '.join(cells)}")
    if len(one.environments) > 1:
        notes.append(f"the runs come from several environments: {'; '.join(one.environments)}")
    return notes


def _effect_record(effect: Effect) -> dict[str, Any]:
    pooled = effect.pooled
    return {
        "effect": " × ".join(effect.levels.values()),
        **_levels(effect.levels),
        "n": effect.gain.n,
        "points": effect.gain.mean,
        "sd": effect.gain.sd,
        "low": effect.gain.low,
        "high": effect.gain.high,
        "p": effect.p if effect.gain.n > 1 else math.nan,
        "p_holm": effect.p_adjusted,
        "smallest_shown": effect.smallest if effect.gain.n > 1 else math.nan,
        "pooled_low": math.nan if pooled is None else pooled.low,
        "pooled_high": math.nan if pooled is None else pooled.high,
        "pooled_p": math.nan if pooled is None else pooled.p,
        "word": effect.word,
    }


def _sum_record(total: Sum) -> dict[str, Any]:
    gain = total.difference
    return {
        "combination": combination(total.levels),
        **_levels(total.levels),
        "n": gain.n,
        "sum_of_gains": total.predicted,
        "gain": total.observed,
        "difference": gain.mean,
        "sd": gain.sd,
        "low": gain.low,
        "high": gain.high,
        "p": two_sided(gain) if gain.n > 1 else math.nan,
        "p_holm": total.p_adjusted,
        "margin": total.margin,
        "p_equivalent_holm": total.p_equivalent if gain.n > 1 else math.nan,
        "word": total.word,
    }


def _levels(levels: Mapping[str, str]) -> dict[str, str]:
    return {axis: levels.get(axis, "") for axis in ("join", "norm", "loss")}


# ── formats ───────────────────────────────────────────────────────────────────────────────────────────


def to_csv(text: Text) -> str:
    """A line per effect or sum, unrounded (ten digits; UTF-8; a header line)."""
    return csv_text(text.records, digits=10)


def to_markdown(text: Text) -> str:
    """The table for GitHub and its like: the caption, the table, the notes."""
    return f"**{text.caption}**\n\n" + render.markdown(text.table, _LEFT, render.numbered(text.below, text.notes))


def to_latex(text: Text) -> str:
    r"""The table for a paper, with booktabs rules (`\usepackage{booktabs}`), and the notes as a second tabular."""
    return render.latex(text.table, _LEFT, [text.caption, *text.below], text.notes)


def to_html(text: Text) -> str:
    """The table as an HTML fragment without style."""
    from suite.report.templates import template

    return template("effects.html.j2").render(table=view(text))


def view(text: Text) -> dict[str, Any]:
    """What the HTML template is filled with."""
    return {
        "name": text.name,
        "caption": text.caption,
        "heads": [(head, "text" if head in _LEFT else "number") for head in text.table.columns],
        "lines": [
            [(cell, "text" if head in _LEFT else "number") for head, cell in line.items()]
            for line in text.table.to_dict("records")
        ],
        "notes": text.notes,
        "general_notes": text.below,
    }


def to_terminal(text: Text) -> RichTable:
    """The table for a terminal; what a factorial's cells share stands above its lines."""
    from rich.text import Text as Plain  # brackets in it are no markup

    shared = [head for head in text.table.columns if head in _CELL]
    table = text.table.drop(columns=[*shared, _DIFFERS, _EQUAL], errors="ignore")  # for which there is no room
    found = open_table(text.caption, "\n".join(render.numbered(text.below, text.notes)))
    for head in table.columns:
        left = head in _LEFT
        found.add_column(Plain(head), justify="left" if left else "right", overflow="fold", no_wrap=not left)
    above: list[str] = []
    for cell, line in zip(text.table[shared].to_numpy().tolist(), table.to_numpy().tolist(), strict=True):
        if cell != above:
            found.add_row(Plain(" · ".join(cell), style="bold"))
        found.add_row(*map(Plain, line))
        above = cell
    return found


def write_texts(found: Sequence[Text], folder: Path) -> list[Path]:
    """Write each table as CSV, Markdown, LaTeX and HTML into the folder; raises `InputError` if that can't be."""
    renderers = {"csv": to_csv, "md": to_markdown, "tex": to_latex, "html": to_html}
    made = {f"{text.name}.{suffix}": render(text) for text in found for suffix, render in renderers.items()}
    return files.write_texts(made, folder)
