"""The table of what was chosen by validation, with the accuracies that decided it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import stdev

from suite.grid.choice import Choice
from suite.grid.settings import SETTINGS
from suite.report.tables.table import NONE, Column, Table


def choice_table(choices: Sequence[Choice]) -> Table:
    """A row per side and level of a search."""
    rows, records = [], []
    search = choices[0].search
    for choice in choices:
        for place, score in enumerate(choice.scores):
            chosen = place == choice.place
            spread = stdev(score.values) if len(score.values) > 1 else math.nan
            shown = NONE if not score.values else f"{score.mean:.2f}"
            rows.append((
                choice.side, score.level, shown if math.isnan(spread) else f"{shown} ± {spread:.2f}",
                str(len(score.values)), str(score.failed) if score.failed else NONE, "chosen" if chosen else "",
            ))  # fmt: skip
            records.append({
                "side": choice.side, search.axis: score.level, "validation_top1": score.mean, "validation_sd": spread,
                "runs": len(score.values), "missing": score.missing, "failed": score.failed, "chosen": chosen,
            })  # fmt: skip
    best = search.epoch == "best"
    of = "the best epoch on the validation images" if best else "the last epoch"
    seeds = ", ".join(map(str, search.seeds))
    below = [
        f"Mean ± standard deviation over the search seeds {seeds}, of {of}. For each side the best level is chosen, of "
        "equal ones the first; a level with failed runs isn't. The test images play no part. Accuracies in other "
        "tables are of other seeds, trained at the chosen level.",
        *(["Verdicts are of the best epoch on the validation images, other tables of the last one."] * best),
        *(f"{choice.side}: {choice.text}." for choice in choices if choice.place is None),
    ]
    columns = (
        Column("side", "Side", text=True, group=True), Column("level", SETTINGS[search.axis].key),
        Column("validation", "Validation top-1 (%)"), Column("runs", "n"), Column("failed", "Failed"),
        Column("chosen", "", text=True),
    )  # fmt: skip
    caption = f"{search.axis} chosen by validation"
    return Table("chosen", caption, columns, tuple(rows), tuple(records), tuple(records[0]), below=tuple(below))
