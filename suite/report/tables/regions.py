"""The table of groupings into regions: each cell's covering, Rand index, variation of information, regions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from suite.report.tables.rows import columns_shown, compared, row_key, rows
from suite.report.tables.summary import HEADS, gain_text, mean_sd
from suite.report.tables.table import NONE, Column, Table, budget_note
from suite.verdict import stats
from suite.verdict.grouped import MEASURED

if TYPE_CHECKING:
    from suite.verdict.runs import Frame

_COLUMNS = {
    "covering": Column("covering", "Covering (%)"),
    "rand_index": Column("rand_index", "PRI (%)"),
    "variation_of_information": Column("variation_of_information", "VoI (bits)"),
    "regions": Column("regions", "Regions"),
}
_BELOW = (
    "Agreement with the regions that people drew, at the size of the stored images: a mean over annotators, then over "
    "test images, then mean ± sample standard deviation over n seeds. Covering and the probabilistic Rand index (PRI): "
    "higher is better. Variation of information (VoI): lower is better. Regions: how many an image has, a mean."
)
_GAIN = (
    " Gain: of covering, over the baseline of the summary table, mean over pairs of the same seed, with its 95 % t "
    "interval."
)


def region_tables(frame: Frame, budget: str = "") -> list[Table]:
    """The table of groupings into regions; none if no run is one.

    Args:
        frame: the runs, as `suite.store.load_frame` returns them, or its columns as lists.
        budget: how the grid is smaller than the paper's experiment (see `budget_note`); empty if it isn't.

    Raises:
        InputError: the frame has two different training runs under one name.
    """
    cells = [row for row in rows(frame) if row.side.grouped]
    if not cells:
        return []
    gains = {row_key({**one.cell, one.axis: one.treatment.level}): one.gain for one in compared(frame, "covering")}
    axes = columns_shown(cells)
    lines, records = [], []
    for row in cells:
        own = row.side.grouped.values()
        found = {name: stats.spread([kept.means[name] for kept in own]) for name in MEASURED}
        gain = gains.get(row_key(row.cell), stats.paired_gain([]))
        values = {f"{name}_{part}": getattr(found[name], part) for name in MEASURED for part in ("mean", "sd")}
        records.append({
            **row.cell, "n": len(own), **values,
            "gain": gain.mean, "gain_low": gain.low, "gain_high": gain.high, "pairs": gain.n,
        })  # fmt: skip
        lines.append((
            *(row.cell[name] for name in axes), str(len(own)), *(mean_sd(found[name]) for name in MEASURED),
            *([gain_text(gain) if gain.n else NONE] if gains else []),
        ))  # fmt: skip
    columns = (
        *(Column(name, HEADS[name], text=True, constant=True, wraps=True) for name in axes),
        Column("n", "n", terminal="never"),
        *_COLUMNS.values(),
        *([Column("gain", HEADS["gain"], interval=True)] if gains else []),
    )
    below = (*budget_note(budget), _BELOW + (_GAIN if gains else ""))
    return [Table("regions", "Regions", columns, tuple(lines), tuple(records), tuple(records[0]), below=below)]
