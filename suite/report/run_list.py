"""The list of all runs in a grid's report: an anchor for each, its numbers, and the command to train it again."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from suite.grid.axes import is_usual
from suite.report.tables.table import NONE
from suite.store.record import AXIS_FIELDS, RunRecord
from suite.verdict.runs import Run, cell_order, is_missing, unique_runs

if TYPE_CHECKING:
    from suite.verdict.runs import Frame

MAX_RUNS = 5_000
MAX_CLAIMS = 6  # links from a run to claims that count it


def run_anchor(trial_id: str) -> str:
    """The anchor of a run in the report of its grid."""
    return f"run-{trial_id}"


def run_list(
    frame: Frame,
    records: Mapping[str, RunRecord],
    claims: Mapping[str, Sequence[tuple[int, str]]],
    rerun: str,
) -> dict[str, Any]:
    """The values that the report's template needs.

    Args:
        frame: the runs.
        records: their records, by trial id; those that are missing have no commit.
        claims: for each trial id, the number and the anchor of the claims that count it.
        rerun: the options of `lape rerun` for this grid.
    """
    runs = sorted(unique_runs(frame), key=lambda run: (cell_order(_cell(run)), int(run["seed_index"])))
    places = list(dict.fromkeys(_place(run, records) for run in sorted(runs, key=lambda run: str(run["started_at"]))))
    return {
        "runs": [_run(run, places.index(_place(run, records)) + 1, claims, rerun) for run in runs[:MAX_RUNS]],
        "listed": {str(run["trial_id"]) for run in runs[:MAX_RUNS]},
        "more_runs": len(runs) if len(runs) > MAX_RUNS else 0,
        "places": places,
    }


def rerun_options(command: str, grid: str) -> str:
    """The options that make `lape rerun` find a run of this grid: those of its `lape run` command."""
    words = shlex.split(command)
    return shlex.join(["--grid", *words[2:]]) if len(words) > 2 else shlex.join(["--grid", grid])


def _cell(run: Run) -> dict[str, str]:
    return {name: str(run[name]) for name in (*AXIS_FIELDS, "recipe", "recipe_id")}


def _place(run: Run, records: Mapping[str, RunRecord]) -> str:
    """Where a run was made, and by which code."""
    record = records.get(str(run["trial_id"]))
    if record is None:
        return str(run["environment"])
    made = record.environment
    commit = f", commit {made.commit}" if made.commit is not None else ""
    threads = f", {made.threads} thread{'s' if made.threads > 1 else ''}" if made.device == "cpu" else ""
    return f"{made.group}; {made.processor}{threads}, Python {made.python}, suite {made.suite}{commit}"


def _run(run: Run, place: int, claims: Mapping[str, Sequence[tuple[int, str]]], rerun: str) -> dict[str, Any]:
    trial = str(run["trial_id"])
    return {
        "anchor": run_anchor(trial),
        "trial": trial,
        "cell": " ".join(str(run[axis]) for axis in AXIS_FIELDS if not is_usual(axis, str(run[axis]))),
        "seed": int(run["seed_index"]),
        "status": str(run["status"]),
        "top1": _percent(run["top1"]),
        "best": _percent(run["top1_best_epoch"]),
        "epochs": int(run["epochs"]),
        "date": str(run["started_at"])[:10],
        "place": place,
        "claims": claims.get(trial, ())[:MAX_CLAIMS],
        "more_claims": max(len(claims.get(trial, ())) - MAX_CLAIMS, 0),
        "again": f"lape rerun {trial} {rerun}",
    }


def _percent(value: Any) -> str:
    return NONE if is_missing(value) else f"{float(value):.2f}"
