"""How far a run is: a live display in a terminal, plain lines elsewhere."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from math import fsum
from statistics import fmean
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn
from rich.table import Column

from suite.grid.trial import Trial
from suite.run.timing.estimate import Estimate
from suite.store.beats import Beat
from suite.store.record import RunRecord, run_name
from suite.text import duration
from suite.train.faults import MachineFault


class ProgressDisplay:
    """Shows trials done, running and failed, the time left, and the last accuracy.

    expected: the time of each, where it is known: others are taken for as long as these are on average.
    """

    def __init__(self, console: Console, trials: Sequence[Trial], expected: Estimate) -> None:
        self._console, self._total, self._expected = console, len(trials), expected
        times = {trial.id: expected.trial_seconds(trial) for trial in trials}
        known = [time for time in times.values() if time is not None]
        mean = fmean(known) if known else 1.0
        self._left = {trial_id: mean if time is None else time for trial_id, time in times.items()}
        self._whole = fsum(self._left.values())
        self._running: set[str] = set()
        self._ended: Counter[str] = Counter()
        self._last = "–"
        self._since: dict[str, float] = {}  # when each was started last
        self._took = 0.0  # seconds of those that have ended
        self._at_once = 1
        self._bar = Progress(
            BarColumn(bar_width=24),
            TextColumn("{task.description}", table_column=Column(no_wrap=True)),
            console=console,
            disable=not console.is_terminal,
        )
        self._task = self._bar.add_task(self._line(), total=self._total)

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()

    def started(self, trial: Trial) -> None:
        """A trial is being trained."""
        self._running.add(trial.id)
        self._since[trial.id] = time.monotonic()
        self._at_once = max(self._at_once, len(self._running))
        self._show()

    def progressed(self, beat: Beat) -> None:
        """`lape status --watch` shows it."""

    def finished(self, record: RunRecord) -> None:
        """A trial has ended: a line of its own, where there is no terminal to redraw."""
        self._running.discard(record.trial_id)
        self._left.pop(record.trial_id, None)
        now = time.monotonic()
        began = self._since.pop(record.trial_id, now)
        self._took += now - began if record.train_seconds is None else record.train_seconds
        self._ended["done" if record.status == "done" else "failed"] += 1
        name = run_name(vars(record), record.seed_index)
        result = record.status if record.top1 is None else f"{record.top1:.2f} %"
        self._last = f"{result} ({name})"
        self._show()
        if not self._console.is_terminal:
            self._say(self._line())

    def delayed(self, trial: Trial, fault: MachineFault, seconds: float) -> None:
        """A trial that the machine spoilt waits: a line of its own."""
        self._running.discard(trial.id)
        self._show()
        where = f" on {fault.node}" if fault.node else ""
        reason = (fault.reason.strip().splitlines() or ["?"])[-1]
        self._say(f"again in {duration(seconds)}: {trial.label} (an error of the machine{where}: {reason})")

    def skipped(self, trials: Sequence[Trial], reason: str) -> None:
        """Trials are left out: a line for them all."""
        self._total -= len(trials)
        for trial in trials:
            self._whole -= self._left.pop(trial.id, 0.0)
        self._bar.update(self._task, total=self._total)
        seeds = ", ".join(str(trial.seed_index) for trial in trials)
        cell = " ".join(trials[0].levels.values())
        self._say(f"skipped: {cell}, seeds {seeds} ({reason}; --retry error runs them)")
        self._show()

    def _say(self, line: str) -> None:
        self._console.print(line, highlight=False, soft_wrap=True, markup=False)

    def _show(self) -> None:
        self._bar.update(self._task, description=self._line(), completed=self._ended.total())

    def _line(self) -> str:
        failed = f" · {self._ended['failed']} failed" if self._ended["failed"] else ""
        return (
            f"{self._ended['done']}/{self._total} done · {len(self._running)} running{failed}"
            f" · {self._time_left()} left · last {self._last}"
        )

    def _time_left(self) -> str:
        left = fsum(self._left.values())
        ended = self._whole - left
        if self._took and ended > 0:
            pace = self._took / ended  # what has ended says how far off the estimates are
        elif self._expected.known and not self._expected.unknown:
            pace = 1.0
        else:
            return "?"
        now = time.monotonic()
        gone = fsum(
            min(now - self._since[trial_id], pace * self._left[trial_id])
            for trial_id in self._running
            if trial_id in self._left and trial_id in self._since
        )
        return duration((pace * left - gone) / max(min(self._at_once, len(self._left)), 1))
