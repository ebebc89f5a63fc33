"""The table of errors on corrupted test images: for each cell, over all kinds of corruption and for each of them."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from suite.data.corruptions.settings import KINDS
from suite.report.tables.rows import Row, columns_shown, compared, row_key, rows
from suite.report.tables.summary import HEADS, gain_text, mean_sd
from suite.report.tables.table import NONE, Column, Table, budget_note
from suite.store.corruptions import Errors, mean_error
from suite.verdict import stats
from suite.verdict.comparisons import Comparison
from suite.verdict.metrics import METRICS
from suite.verdict.runs import rows_of

if TYPE_CHECKING:
    from suite.verdict.runs import Frame

ALL = "all"  # the row over all kinds
_BELOW = (
    "Error on corrupted test images after the last epoch, in percent: mean ± sample standard deviation over n seeds; "
    "of all kinds, a mean over kinds and severities. Lower is better, and a gain is by how much the error falls "
    "against the baseline of the summary table: mean over pairs of the same seed, with its 95 % t interval."
)


@dataclass(frozen=True)
class KindGains:
    """The gains of a treatment over its baseline: over all kinds of corruption, and on each.

    Args:
        title: the comparison, in a line.
        treatment: the treatment's level.
        gains: by kind; `ALL` comes first.
    """

    title: str
    treatment: str
    gains: Mapping[str, stats.PairedGain]


def kind_gains(frame: Frame) -> list[KindGains]:
    """The gains of each comparison of the table that has a pair, in its order. frame: as for `corruption_tables`."""
    errors, found = _errors(frame), []
    for one in compared(frame, "corruption_error") if errors else ():
        if one.seeds:
            kinds = _kinds([errors[side.trials[seed]] for side in (one.baseline, one.treatment) for seed in one.seeds])
            gains = {kind: stats.paired_gain(_gains(one, errors, kind)) for kind in (ALL, *kinds)}
            found.append(KindGains(one.label, one.treatment.level, gains))
    return found


def _kinds(found: Iterable[Errors]) -> list[str]:
    """The kinds that any of the runs was tested on, in the published order."""
    there = {kind for errors in found for kind in errors}
    return [kind for kind in KINDS if kind in there]


def corruption_tables(frame: Frame, budget: str = "") -> list[Table]:
    """The table of corruption errors; none if no run was tested on corrupted images.

    Args:
        frame: the runs, as `suite.store.load_frame` returns them, or its columns as lists.
        budget: how the grid is smaller than the paper's experiment (see `budget_note`); empty if it isn't.

    Raises:
        InputError: the frame has two different training runs under one name.
    """
    errors = _errors(frame)
    if not errors:
        return []
    cells = [row for row in rows(frame) if any(trial in errors for trial in row.side.trials.values())]
    gains = {row_key({**one.cell, one.axis: one.treatment.level}): one for one in compared(frame, "corruption_error")}
    severities = sorted({severity for found in errors.values() for each in found.values() for severity in each})
    axes = columns_shown(cells)
    lines, records = [], []
    for row in cells:
        own = {seed: errors[trial] for seed, trial in row.side.trials.items() if trial in errors}
        for kind in (ALL, *_kinds(own.values())):
            comparison = gains.get(row_key(row.cell))
            gain = stats.paired_gain([] if comparison is None else _gains(comparison, errors, kind))
            spread, record = _numbers(row, own, gain, kind, severities)
            by_severity = [record[f"severity_{one}"] for one in severities]
            records.append(record)
            lines.append((
                *(row.cell[name] for name in axes), kind.replace("_", " "), str(spread.n), mean_sd(spread),
                gain_text(gain), str(gain.n) if gain.n else NONE,
                *(NONE if math.isnan(value) else f"{value:.2f}" for value in by_severity),
            ))  # fmt: skip
    columns = (
        *(Column(name, HEADS[name], text=True, constant=True, wraps=True) for name in axes),
        Column("corruption", "Corruption", text=True),
        Column("n", "n", terminal="never"),
        Column("error", "Error (%)"),
        Column("gain", HEADS["gain"], interval=True),
        Column("pairs", HEADS["pairs"]),
        *(Column(f"severity_{one}", f"Severity {one}", terminal="wide") for one in severities),
    )
    return [
        Table(
            "corruptions",
            "Errors on corrupted images",
            columns,
            tuple(lines),
            tuple(records),
            tuple(records[0]),
            below=(*budget_note(budget), _BELOW),
        )
    ]


def _errors(frame: Frame) -> dict[str, Errors]:
    """The errors of each run that was tested on corrupted images, by trial id."""
    if "corruption_errors" not in frame:
        return {}
    found = rows_of(frame, ("trial_id", "corruption_errors"))
    return {trial: json.loads(errors) for trial, errors in found if isinstance(errors, str)}


def _of_kind(errors: Errors, kind: str) -> float:
    if kind == ALL:
        return mean_error(errors)
    return mean_error({kind: errors[kind]}) if kind in errors else math.nan


def _numbers(
    row: Row, own: Mapping[int, Errors], gain: stats.PairedGain, kind: str, severities: Sequence[str]
) -> tuple[stats.Spread, dict[str, Any]]:
    """The error over seeds, and the unrounded values of a line. own: the errors of the cell's runs, by seed."""
    spread = stats.spread([value for found in own.values() if not math.isnan(value := _of_kind(found, kind))])
    by_severity = {
        f"severity_{one}": _mean([
            each[one]
            for found in own.values()
            for name, each in found.items()
            if kind in (ALL, name) and one in each
        ])
        for one in severities
    }  # fmt: skip
    return spread, {
        **row.cell,
        "corruption": kind,
        "n": spread.n,
        "error_mean": spread.mean,
        "error_sd": spread.sd,
        "gain": gain.mean,
        "gain_low": gain.low,
        "gain_high": gain.high,
        "pairs": gain.n,
        **by_severity,
    }


def _gains(comparison: Comparison, errors: Mapping[str, Errors], kind: str) -> list[float]:
    """The gain of each pair, of one kind or of all."""
    sides = (comparison.baseline, comparison.treatment)
    pairs = [[_of_kind(errors[side.trials[seed]], kind) for side in sides] for seed in comparison.seeds]
    sign = METRICS["corruption_error"].sign
    return [sign * (treated - base) for base, treated in pairs if not math.isnan(treated - base)]


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values) if values else math.nan
