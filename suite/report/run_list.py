"""The list of all runs in a grid's report: an anchor for each, its numbers, and the command to train it again."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from suite.grid.axes import is_usual
from suite.report.tables.table import NONE
from suite.store.record import AXIS_FIELDS, RunRecord
from suite.verdict.runs import Run, cell_order, is_missing, unique_runs

if TYPE_CHECKING:
    from suite.verdict.runs import Frame

MAX_RUNS = 5_000
MAX_CLAIMS = 24  # links from the runs of a cell to claims that count them
SHORT = 8  # characters of a trial id that `lape rerun` takes for the whole, where no other id begins with them


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
    groups: dict[tuple[str, tuple[tuple[int, str], ...], int], list[dict[str, Any]]] = {}
    for run in runs[:MAX_RUNS]:
        name = " ".join(str(run[axis]) for axis in AXIS_FIELDS if not is_usual(axis, str(run[axis])))
        place = places.index(_place(run, records)) + 1
        groups.setdefault((name, tuple(claims.get(str(run["trial_id"]), ())), place), []).append(_run(run, rerun))
    return {
        "runs": [
            {
                "cell": cell,
                "runs": lines,
                "place": place,
                "claims": counting[:MAX_CLAIMS],
                "more": max(len(counting) - MAX_CLAIMS, 0),
            }
            for (cell, counting, place), lines in groups.items()
        ],
        "short": short_ids(str(run["trial_id"]) for run in runs[:MAX_RUNS]),
        "shown_runs": len(runs[:MAX_RUNS]),
        "more_runs": len(runs) if len(runs) > MAX_RUNS else 0,
        "places": places,
    }


def short_ids(trials: Iterable[str]) -> dict[str, str]:
    """The beginning of each trial id, as much as tells it from the others. The anchors of runs are made of it."""
    found = list(dict.fromkeys(trials))
    length = SHORT
    while len({trial[:length] for trial in found}) < len(found):
        length += 1
    return {trial: trial[:length] for trial in found}


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


def _run(run: Run, rerun: str) -> dict[str, Any]:
    trial = str(run["trial_id"])
    return {
        "trial": trial,
        "seed": int(run["seed_index"]),
        "status": str(run["status"]),
        "top1": _percent(run["top1"]),
        "best": _percent(run["top1_best_epoch"]),
        "epochs": int(run["epochs"]),
        "date": str(run["started_at"])[:10],
        "again": f"lape rerun {trial} {rerun}",
    }


def _percent(value: Any) -> str:
    return NONE if is_missing(value) else f"{float(value):.2f}"
