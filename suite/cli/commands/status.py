"""`lape status`: the progress of a grid, printed once or repeatedly. It only reads files and never waits for a run."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.live import Live

from suite.cli.answers.answer import json_text
from suite.cli.answers.status import status_answer
from suite.cli.commands.console import lit, open_console, print_line
from suite.errors import reason_line
from suite.grid.grid import Expansion
from suite.run.opened_grid import OpenGrid
from suite.run.status import Underway, View, Watcher
from suite.run.timing.forecast import read_calibration, read_forecast
from suite.store.beats import LOST
from suite.text import counted, duration, say

if TYPE_CHECKING:
    from suite.report.workspace import Workspace
    from suite.verdict.verdicts import Verdict

_SHOWN = 20  # the most failures, and the most running trials, that are listed; the JSON has all of them
_DRAWN = 4  # refreshes of the terminal per second


def print_status(opened: OpenGrid, *, watch: bool, every: float, as_json: bool) -> None:
    """Print the progress of a grid.

    In a terminal the same block of lines is updated; elsewhere the blocks are printed one after another.

    Args:
        opened: the grid.
        watch: print repeatedly until the grid is complete.
        every: seconds between two updates.
        as_json: print each update as one line of JSON.
    """
    measured = read_calibration(opened.store.folder)
    calibrated = () if measured is None else measured.paces
    claims = ClaimPaths(opened)
    renewed = None if opened.expansion.search is None else lambda: replace(opened).expansion
    watcher = Watcher(opened.grid.name, claims.expansion, opened.store.folder, calibrated, renewed)
    views = _looks(watcher, every) if watch else iter([watcher.look()])
    if as_json:
        for view in views:
            found = read_forecast(opened.store.folder)
            say(json_text(status_answer(view, found, claims.values(), replace(opened).choices)))
        return
    console = open_console()
    if watch and console.is_terminal:
        with suppress(KeyboardInterrupt), Live(console=console, refresh_per_second=_DRAWN) as live:
            for view in views:
                live.update(lit("\n".join(_lines(opened, view, claims))))
        return
    with suppress(KeyboardInterrupt):  # Ctrl-C stops only this command, not the run that it watches
        for number, view in enumerate(views):
            print_line(console, "\n" * bool(number) + "\n".join(_lines(opened, view, claims)))


def _lines(opened: OpenGrid, view: View, claims: ClaimPaths) -> list[str]:
    chosen = [f"  {one.side}: {one.text}" for one in replace(opened).choices]
    return [*status_lines(opened, view, _verdict(opened)), *claims.lines(), *chosen]


class ClaimPaths:
    """The paths of claims that are judged after each pair. A grid without such claims costs nothing.

    Args:
        opened: the grid.
    """

    def __init__(self, opened: OpenGrid) -> None:
        self._opened = opened
        self._workspace: Workspace | None = None
        if not opened.grid.file.not_runnable and any(_may_look_often(path) for path in opened.grid.claim_files):
            from suite.report.workspace import Workspace

            workspace = Workspace(opened.grid, opened.results, opened.command, opened.results)
            if any(claim.rule != "fixed" for claim in workspace.claims):
                self._workspace = workspace

    @property
    def expansion(self) -> Expansion:
        """The grid's trials, and those of further seeds that are stored."""
        if self._workspace is None or self._opened.choices:
            return self._opened.expansion
        return self._workspace.counted

    def lines(self) -> list[str]:
        """A line per claim."""
        if self._workspace is None:
            return []
        from suite.verdict.paths import path_line

        return [
            f"  {verdict.claim.id}: {path_line(verdict.evidence)}"
            for verdict in self._judged()
            if verdict.evidence is not None
        ]

    def values(self) -> list[dict[str, Any]]:
        """The same as JSON-compatible values; what is infinite or undefined is null."""
        if self._workspace is None:
            return []
        from suite.verdict.paths import path_values

        return [
            {"claim": verdict.claim.id, "word": verdict.word, "max_pairs": verdict.claim.max_pairs}
            | {"path": [] if verdict.evidence is None else path_values(verdict.evidence)}
            for verdict in self._judged()
        ]

    def _judged(self) -> list[Verdict]:
        if self._workspace is None:
            return []
        fresh = replace(self._workspace)  # a copy, which reads the records anew
        return [verdict for verdict in fresh.verdicts if verdict.claim.rule != "fixed"]


def _may_look_often(path: Path) -> bool:
    """Whether a claim file names a rule that allows looks after each pair; a quick look, which reads no YAML."""
    with suppress(OSError, UnicodeDecodeError):
        text = path.read_text(encoding="utf-8")
        return "max_pairs" in text or "e_process" in text
    return False


def _verdict(opened: OpenGrid) -> str | None:
    """Return a sentence on how accurate the time estimate of the last run was, if that run has ended."""
    found = read_forecast(opened.store.folder)
    return None if found is None else found.verdict


def _looks(watcher: Watcher, every: float) -> Iterator[View]:
    while True:
        view = watcher.look()
        yield view
        if view.complete:
            return
        time.sleep(every)


def status_lines(opened: OpenGrid, view: View, told: str | None = None) -> list[str]:
    """Return the lines that `lape status` prints.

    Args:
        opened: the grid.
        view: its current state.
        told: a sentence on how accurate the time estimate of the last run was, if any.
    """
    lost = f", {view.lost} lost" if view.lost else ""
    running = f", {view.running} running" if view.underway else ""
    lines = [f"{view.grid}: {view.done}/{view.total} done, {view.to_do} to do{running}{lost}"]
    if view.trained_seconds:
        lines.append(f"  trained for {duration(view.trained_seconds)} in all; {_left(view)}")
    elif view.underway:
        lines.append(f"  {_left(view)}")
    if told:
        lines.append(f"  {told}")
    if hours := _hours(view):
        lines.append(f"  {hours}")
    for node in view.nodes:
        speed = f"{node.images_per_second:,.0f} images/s" if node.images_per_second else "speed not known yet"
        lines.append(f"  on {node.name}: {node.running} running, {speed}")
    if len(view.nodes) > 1:
        lines.append(f"  in all: {view.images_per_second:,.0f} images/s")
    lines += [f"    {_underway(trial)}" for trial in view.underway[:_SHOWN]]
    if len(view.underway) > _SHOWN:
        lines.append(f"    and {len(view.underway) - _SHOWN} more")
    if view.failures:
        lines.append(f"  {_failed(opened, view)}")
    for outcome in view.failures[:_SHOWN]:
        reason = reason_line(outcome.error)
        where = f" on {outcome.node}" if outcome.node else ""
        lines.append(f"    {outcome.trial_id} {outcome.status:<8} {outcome.label}{where}: {reason}")
    if len(view.failures) > _SHOWN:
        lines.append(f"    and {len(view.failures) - _SHOWN} more")
    return [_printable(line) for line in lines]


def _left(view: View) -> str:
    if view.complete:
        return "nothing to do"
    besides = f"; besides {counted(view.unknown, 'trial')} of sizes that were not run yet" if view.unknown else ""
    if view.seconds_left is not None:
        return f"about {duration(view.seconds_left)} left, {view.running} at a time{besides}"
    if not view.estimate.known:
        return "how long the rest takes is not known before a first trial of each size has been run"
    return f"the rest takes about {duration(view.estimate.seconds)} on one worker{besides}"


def _hours(view: View) -> str:
    spent = " and ".join(f"{hours:.2f} {unit}" for unit, hours in sorted(view.spent.items()))
    left = " and ".join(f"{hours:.2f} {unit}" for unit, hours in sorted(view.left.items()))
    return ", ".join([f"{spent} spent"] * bool(spent) + [f"about {left} left"] * bool(left and not view.complete))


def _underway(trial: Underway) -> str:
    beat = trial.beat
    parts = [f"{beat.trial_id} {trial.label}"]
    if trial.lost:
        parts.append(f"lost: not heard of for {duration(trial.silent)}")
    else:
        parts.append(f"since {beat.started_at}" + (f" on {beat.node}" if beat.node else ""))
    if beat.epochs and beat.share is not None:
        parts.append(f"epoch {min(beat.epoch + 1, beat.epochs)} of {beat.epochs} ({beat.share:.0%})")
    if beat.images_per_second and not trial.lost:
        parts.append(f"{beat.images_per_second:,.0f} images/s")
    if beat.idle > LOST and not trial.lost:
        parts.append(f"no step for {duration(beat.idle)}")
    return ", ".join(parts)


def _failed(opened: OpenGrid, view: View) -> str:
    text = ", ".join(f"{count} {status}" for status, count in view.failed.items())
    retry = f"`{opened.command} --retry {','.join(view.failed)}` runs them again"
    return f"{len(view.failures)} failed ({text}): {retry}"


def _printable(line: str) -> str:
    """Replace unprintable characters, since a record from an untrusted source may contain control sequences."""
    return "".join(character if character.isprintable() else "?" for character in line)
