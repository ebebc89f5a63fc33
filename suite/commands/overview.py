"""What is printed about a grid: its plan, its status, its table, its verdicts, its report.

Needs neither torch nor Ray: a reviewer's laptop has none.
"""

from __future__ import annotations

import csv
import io
import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.text import Text

from suite.report.workspace import Workspace
from suite.run.plan import Plan, expectation, make_plan
from suite.run.ray.capacity import Capacity
from suite.run.timing.estimate import LEVEL, CellEstimate, Estimate, Interval
from suite.store.files import make_folder, write_atomic
from suite.text import duration
from suite.verdict import stats
from suite.verdict.claims.claim import untested
from suite.verdict.comparisons import contrasts

COLOURS = {"confirmed": "green", "direction_only": "cyan", "inconclusive": "yellow", "contradicted": "red"}
# A reader may take these words away; what stands beside them must not be left to the report.
_SAYS_SOMETHING = ("confirmed", "direction_only", "contradicted")
_SHOWN = 20  # dropped cells, failures: more of them are counted, and stand in the report


def open_console(width: int = 100) -> Console:
    """The terminal; where the output goes elsewhere, so many columns."""
    console = Console()
    return console if console.is_terminal else Console(width=width)


def print_plan_line(console: Console, workspace: Workspace, plan: Plan) -> None:
    """The plan in one line, at the start of a run."""
    if reason := workspace.grid.file.not_runnable:
        _print(console, f"{workspace.grid.name}: nothing to run: {reason}")
        return
    if not plan.to_do:
        text = f"{workspace.grid.name}: nothing to run, all {plan.total} trials have been run"
        _print(console, text + (f"; {_failed(workspace, plan)}" if plan.failed else ""))
        return
    expected = workspace.estimate(plan.to_do)
    time = f", about {duration(expected.seconds)} of training on one such worker" if expected.known else ""
    _print(console, f"{workspace.grid.name}: {len(plan.to_do)} of {plan.total} trials to run{time}")


def print_plan(
    workspace: Workspace,
    *,
    workers: int | None = None,
    as_json: bool = False,
    target: str | None = None,
    room: Capacity | None = None,
) -> None:
    """`lape plan`. workers: trials at a time; target: a file for a row of CSV per cell, "-" prints that alone.

    room: what a cluster has, if that was asked.
    """
    console = open_console()
    if as_json or target is not None:
        plan = make_plan(workspace.expansion, workspace.records)
        found = workspace.estimate(plan.to_do, workers)
        if as_json:
            print(json.dumps(_values(workspace, plan, found), indent=1))
            return
        if target == "-":
            print(_cell_csv(found), end="")
            return
        write_atomic(Path(str(target)), _cell_csv(found).encode())
    if workspace.grid.file.not_runnable:
        print_plan_line(console, workspace, make_plan(workspace.expansion, workspace.records))
        _print(console, f"  claims   {len(workspace.claims)}, not tested by this grid")
        return
    plan = make_plan(workspace.expansion, workspace.records)
    unmatched = untested(workspace.claims, workspace.expansion.trials)
    seeds = len(workspace.grid.file.seeds)
    _print(console, f"{workspace.grid.name}: {len(workspace.expansion.trials) // seeds} cells × {seeds} seeds")
    _print(
        console, f"  trials   {plan.total}: {len(plan.done)} done, {len(plan.failed)} failed, {len(plan.to_do)} to do"
    )
    if plan.others:
        _print(console, f"  besides  {plan.others} stored runs of other trials (another recipe or size): left alone")
    if room is not None:
        _print(console, f"  at once  {room.line}")
    expected = workspace.estimate(plan.to_do, workers)
    _print(console, f"  time     {_time(workspace, plan, expected)}")
    for line in _time_details(expected):
        _print(console, f"           {line}")
    if workspace.grid.file.expect:
        _print(console, f"  expected {_expected(workspace)}")
    if workspace.budget_note:
        _print(console, f"  budget   {workspace.budget_note}: the claims are tested as analogues")
    _print(console, f"  power    {_power(workspace)}")
    claims = f"{len(workspace.claims)} to judge" + (f", {len(unmatched)} not tested by this grid" if unmatched else "")
    _print(console, f"  claims   {claims}")
    _print(console, f"  dropped  {len(plan.dropped)} cells")
    for cell in plan.dropped[:_SHOWN]:
        _print(console, f"    {cell.label}: {cell.reason}")
    if len(plan.dropped) > _SHOWN:
        _print(console, f"    and {len(plan.dropped) - _SHOWN} more")


def _time(workspace: Workspace, plan: Plan, expected: Estimate) -> str:
    if not plan.to_do:
        return "nothing to do"
    if expected.device is None:
        calibrate = f"`{workspace.command_for('plan')} --calibrate` measures a few steps"
        return f"unknown before a first trial of each size: {calibrate}, `{workspace.command} --limit 2` runs some"
    unknown = f"; besides {expected.unknown} trials of sizes that were not run yet" if expected.unknown else ""
    interval = "" if expected.interval is None else f", 95 % {_between(expected.interval)}"
    hours = f"{expected.device.hours(expected.seconds):.2f} {expected.device.unit}"
    return (
        f"about {duration(expected.seconds)}{interval} ({hours}) on one worker, as measured on "
        f"{expected.device.label}{unknown}"
    )


def _time_details(expected: Estimate) -> Iterator[str]:
    if not expected.known:
        return
    wall = expected.wall_interval
    at_a_time = f"{expected.workers} trials at a time" if expected.workers > 1 else "one trial at a time"
    yield f"about {duration(expected.wall)}{f', {_between(wall)}' if wall else ''}, with {at_a_time}"
    if expected.spread is None:
        yield "no interval: that takes two measurements of a kind at least"
    else:
        yield (
            f"the interval: t with {expected.freedom:.1f} degrees of freedom, for trainings whose times differ by "
            f"{expected.spread:.1%}, all alike in one run"
        )
    for cell in expected.cells[:_SHOWN]:
        yield _cell_line(cell)
    if len(expected.cells) > _SHOWN:
        yield f"and {len(expected.cells) - _SHOWN} more cells: --csv has them all"


def _cell_line(cell: CellEstimate) -> str:
    if cell.seconds is None:
        return f"{cell.label}: {cell.trials} × unknown"
    start_up = f" and {cell.start_up:.1f} s to begin" if cell.start_up else ""
    return f"{cell.label}: {cell.trials} × {duration(cell.seconds)}{start_up}, {_basis(cell)}"


def _basis(cell: CellEstimate) -> str:
    if cell.basis == "runs":
        return f"as {cell.measured} run{'s' if cell.measured > 1 else ''}"
    if cell.basis == "calibration":
        return f"as calibrated, {cell.measured} rounds"
    return "as the same model with another PE or recipe, which the interval knows nothing of"


def _between(interval: Interval) -> str:
    return f"from {duration(interval[0])} to {duration(interval[1])}"


def _values(workspace: Workspace, plan: Plan, expected: Estimate) -> dict[str, Any]:
    """A plan for machines. Times are seconds."""
    device, interval = expected.device, expected.interval
    counts = {"total": plan.total, "done": len(plan.done), "failed": len(plan.failed), "to_do": len(plan.to_do)}
    return {
        "grid": workspace.grid.name,
        "trials": counts,
        "dropped_cells": len(plan.dropped),
        "device": None if device is None else device.label,
        "seconds": expected.seconds if expected.known else None,
        "interval": interval,
        "level": LEVEL,
        "hours": None if device is None else device.hours(expected.seconds),
        "hours_interval": None if device is None or interval is None else [device.hours(bound) for bound in interval],
        "unit": None if device is None else device.unit,
        "workers": expected.workers,
        "wall_seconds": expected.wall if expected.known else None,
        "wall_interval": expected.wall_interval,
        "spread": expected.spread,
        "degrees_of_freedom": expected.freedom,
        "trials_without_estimate": expected.unknown,
        "cells": [_cell_values(expected, cell) for cell in expected.cells],
    }


def _cell_values(expected: Estimate, cell: CellEstimate) -> dict[str, Any]:
    device, whole = expected.device, None if cell.seconds is None else cell.trials * (cell.seconds + cell.start_up)
    return {
        "cell_id": cell.cell_id,
        "cell": cell.label,
        "trials": cell.trials,
        "seconds_per_epoch": None if cell.seconds is None else cell.seconds / cell.epochs,
        "seconds_per_trial": cell.seconds,
        "start_up_seconds": cell.start_up,
        "seconds": whole,
        "hours": None if whole is None or device is None else device.hours(whole),
        "unit": None if device is None else device.unit,
        "basis": cell.basis,
        "measured": cell.measured,
    }


def _cell_csv(expected: Estimate) -> str:
    rows, text = [_cell_values(expected, cell) for cell in expected.cells], io.StringIO()
    if rows:
        writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    return text.getvalue()


def _expected(workspace: Workspace) -> str:
    found = expectation(workspace.expansion.trials, workspace.grid.file.expect)
    parts = [f"{hours:,.{0 if hours >= 10 else 1}f} h on {hardware}" for hardware, hours in found.hours.items()]
    if found.hours and found.unknown:
        parts.append(f"besides {found.unknown} trials whose time isn't known")
    if found.low <= found.high:
        parts.append(f"top-1 from {found.low:.2f} to {found.high:.2f} %")
    return "; ".join(parts) or "nothing: no entry names any of its cells"


def _power(workspace: Workspace) -> str:
    """The smallest gain that this number of pairs can show, from the spread seen so far if there is one."""
    seeds = len(workspace.grid.file.seeds)
    if seeds < 2:
        return "one seed can't show any gain: a paired test needs two or more"
    smallest = stats.smallest_gain(seeds, 1.0)
    text = f"{seeds} pairs show a gain of {smallest:.2f} standard deviations of the paired gains (80 % power, α 0.05)"
    spreads = [contrast.gain.sd for contrast in contrasts(workspace.frame) if contrast.gain.n >= 2]
    if not spreads:
        return text
    low, high = (stats.smallest_gain(seeds, spread) for spread in (min(spreads), max(spreads)))
    return f"{text}: from {low:.2f} to {high:.2f} points, by the spread of the runs so far"


def _failed(workspace: Workspace, plan: Plan) -> str:
    counts = Counter(record.status for record in plan.failed)
    text = ", ".join(f"{count} {status}" for status, count in sorted(counts.items()))
    retry = f"`{workspace.command} --retry {','.join(sorted(counts))}` runs them again"
    return f"{len(plan.failed)} failed ({text}): `{workspace.command_for('status')}` lists them, {retry}"


def print_tables(workspace: Workspace) -> None:
    """`lape tables`."""
    from suite.report.tables import effects as effect_tables
    from suite.report.tables import published_text
    from suite.report.tables.summary import to_terminal, write_tables

    make_folder(workspace.report_folder)
    frame = workspace.frame
    console = open_console()
    published = workspace.published()
    if frame.empty:
        _print(console, f"{workspace.grid.name}: no runs yet")
    else:
        console.print(to_terminal(frame, console.width, workspace.budget_note))
    effects = effect_tables.texts(workspace.factorials, workspace.budget_note)
    for text in effects:
        console.print()
        console.print(effect_tables.to_terminal(text))
    for table in published:
        console.print()
        console.print(published_text.to_terminal(table))
    folder = workspace.report_folder / "tables"
    summary = [] if frame.empty else write_tables(frame, folder, workspace.budget_note)
    further = [*effect_tables.write_texts(effects, folder), *published_text.write_published(published, folder)]
    for path in [*summary, *further]:
        _print(console, _shown(path))


def print_verdicts(workspace: Workspace, *, as_json: bool = False) -> bool:
    """`lape verify`. Is any claim contradicted?"""
    from suite.verdict.verdicts import to_json

    console = open_console()
    if as_json:
        print(to_json(workspace.verdicts), end="")
    else:
        for verdict in workspace.verdicts:
            word = Text(verdict.word.replace("_", " "), style=f"bold {COLOURS.get(verdict.word, 'dim')}")
            console.print(Text.assemble(word, ": ", verdict.claim.title))
            console.print(Text("  " + verdict.sentence))
            if verdict.word in _SAYS_SOMETHING:
                for caveat in verdict.caveats:
                    console.print(Text(f"  but: {caveat}", style="dim"))
        if not workspace.verdicts:
            _print(console, f"{workspace.grid.name} names no claims")
    return any(verdict.word == "contradicted" for verdict in workspace.verdicts)


def write_report(workspace: Workspace) -> str:
    """`lape report`: write the page and what belongs to it, and say where it is."""
    from suite.report.page import render
    from suite.report.remarks import GridSummary

    make_folder(workspace.report_folder)
    plan = make_plan(workspace.expansion, workspace.records)
    recipes = {trial.recipe_name: trial.recipe.model_dump(mode="json") for trial in workspace.expansion.trials}
    summary = GridSummary(
        name=workspace.grid.name,
        description=workspace.grid.file.description,
        total=plan.total,
        done=len(plan.done),
        failed=len(plan.failed),
        missing=len(plan.to_do),
        dropped=tuple((cell.label, cell.reason) for cell in plan.dropped),
        recipes=recipes,
        seeds=tuple(workspace.grid.file.seeds),
        command=workspace.command,
        budget=workspace.budget_note,
    )
    page = render(
        summary,
        workspace.frame,
        workspace.history,
        workspace.verdicts,
        workspace.report_folder,
        published=workspace.published(),
        factorials=workspace.factorials,
    )
    return _shown(page)


def print_outcome(console: Console, workspace: Workspace) -> None:
    """What a run ends with: the table, the verdicts, the report."""
    from suite.report.tables.summary import to_terminal

    frame = workspace.frame
    if not frame.empty:
        console.print()
        console.print(to_terminal(frame, console.width, workspace.budget_note))
        console.print()
    print_verdicts(workspace)
    _print(console, f"report: {write_report(workspace)}")


def print_weights(console: Console, workspace: Workspace, plan: Plan) -> None:
    """Where the weights of the done trials are, and which of them have none."""
    files = {record.trial_id: workspace.store.weights(record.trial_id) for record in plan.done}
    missing = [trial_id for trial_id, file in files.items() if not file.exists()]
    if len(files) > len(missing):
        folder = next(iter(files.values())).parent
        _print(console, f"weights of {len(files) - len(missing)} runs: {_shown(folder)}")
    if missing:
        _print(
            console,
            f"{len(missing)} runs have no weights there, {missing[0]} for instance: they ran without --keep-weights, "
            "or the file couldn't be written; `lape rerun ID --weights FILE` makes it",
        )


def _shown(path: Path) -> str:
    """A path as short as it can be said here."""
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else str(path)


def _print(console: Console, text: str) -> None:
    console.print(text, highlight=False, markup=False, soft_wrap=True)
