"""The tables of factorials: main effects and interactions, and whether gains add up."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from suite.report.tables.summary import HEADS, gain_text
from suite.report.tables.table import Column, Table, budget_note, marks, number_notes
from suite.text import interval, p_value, points, seed_list
from suite.verdict.interactions import FACTORS, Effect, Factorial, Sum, two_sided
from suite.verdict.runs import recipe_ids_tell
from suite.verdict.stats.blocked import Levels

_DIFFERS, _EQUAL = "p differs", "p adds up"
_TEXT = ("Effect", "Combination", "The runs say", "Notes")

# One row of a table: its factorial, the text of each column by heading, its notes, and its unrounded numbers.
_Line = tuple[Factorial, dict[str, str], list[str], dict[str, Any]]

_EFFECTS = (
    "Effects on top-1 of the last epoch, in percentage points. Of one method: its gain, a mean over the levels of the "
    "others. Of two (×): by how much the one's gain is larger with the other than without; of three: by how much that "
    "difference is."
)
_SUMS = (
    "Do the gains add up? Beside the sum of what each method gains alone stands what all of them gain together, in "
    "percentage points of top-1 of the last epoch."
)


def effect_tables(found: Sequence[Factorial], budget: str = "") -> list[Table]:
    """The table of effects and the table of sums; no tables without a factorial.

    Args:
        found: the factorials.
        budget: how the grid is smaller than the paper's experiment (see `budget_note`); empty if it isn't.
    """
    if not found:
        return []
    shown = _cell_columns(found)
    method = "Each is a contrast of cells, seed by seed, tested by t over n seeds [95 % interval]; nothing is imputed."
    effects = [
        (one, _effect(effect), _effect_notes(one, effect), _effect_record(effect))
        for one in found
        for effect in one.effects
    ]
    sums = [
        (one, _sum(total), _notes(one, total.missing, total.seeds), _sum_record(total))
        for one in found
        for total in one.sums
    ]
    holm = f"p: two-sided, by Holm over all {len(effects)} effects."
    about_effects = [_EFFECTS, f"{method} Against {_references(found)}. {holm}"]
    about_sums = [_SUMS, f"{method} {_margins(found)}"]
    return [
        _table("effects", "Main effects and interactions", shown, effects, [*budget_note(budget), *about_effects]),
        _table("sums", "Do the gains add up?", shown, sums, [*budget_note(budget), *about_sums]),
    ]


def _table(name: str, caption: str, shown: Sequence[str], lines: Sequence[_Line], below: Sequence[str]) -> Table:
    numbers = number_notes(note for _, _, notes, _ in lines for note in notes)
    heads = [*lines[0][1], *(["Notes"] if numbers else [])]
    rows = [
        (*(one.cell[key] for key in shown), *cells.values(), *([marks(numbers, notes)] if numbers else []))
        for one, cells, notes, _ in lines
    ]
    records = [{**one.cell, **record, "notes": "; ".join(notes)} for one, _, notes, record in lines]
    cell_columns = (Column(key, HEADS[key], text=True, group=True, wraps=True) for key in shown)
    columns = (*cell_columns, *map(_column, heads))
    return Table(name, caption, columns, tuple(rows), tuple(records), tuple(records[0]), tuple(below), tuple(numbers),
                 layout="bands")  # fmt: skip


def _column(head: str) -> Column:
    words = head in _TEXT
    # A terminal is too narrow for the p-values of a sum. The last column gives their verdict.
    return Column(head, head, text=words, wraps=words, terminal="never" if head in (_DIFFERS, _EQUAL) else "always")


def _cell_columns(found: Sequence[Factorial]) -> list[str]:
    """The fields that differ between the factorials."""
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
        "Points [95 %]": gain_text(effect.gain),
        "p": p_value(effect.p if effect.gain.n > 1 else math.nan),
        "p (Holm)": p_value(effect.p_adjusted),
        "The runs say": effect.word,
    }


def _sum(total: Sum) -> dict[str, str]:
    return {
        "Combination": combination(total.levels),
        "n": str(total.difference.n),
        "Sum of gains": points(total.predicted),
        "Gain together": points(total.observed),
        "Together − sum [95 %]": gain_text(total.difference),
        _DIFFERS: p_value(total.p_adjusted),
        _EQUAL: p_value(total.p_equivalent if total.difference.n > 1 else math.nan),
        "The runs say": total.word,
    }


def combination(levels: Mapping[str, str]) -> str:
    """The text of a combination of methods, such as "lape + dtn"."""
    return " + ".join(levels.values())


def _effect_notes(one: Factorial, effect: Effect) -> list[str]:
    notes = _notes(one, effect.missing, effect.seeds)
    if (
        effect.pooled is not None
        and effect.gain.n > 1
        and (effect.p < effect.alpha) != (effect.pooled.p < effect.alpha)
    ):
        notes.append(
            f"{' × '.join(effect.levels.values())}: a model that takes all cells to vary alike says "
            f"{interval(effect.pooled.low, effect.pooled.high)}, p = {p_value(effect.pooled.p)} unadjusted"
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
    if one.mixed_code:
        notes.append(f"the runs mix different code of {', '.join(one.mixed_code)}")
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
    return {axis: levels.get(axis, "") for axis in FACTORS}
