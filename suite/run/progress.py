"""Show the progress of a run: a live display in a terminal, plain lines elsewhere."""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from collections.abc import Sequence
from math import fsum
from statistics import fmean
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn
from rich.table import Column

from suite.errors import reason_line
from suite.grid.trial import Trial
from suite.run.events import Listener
from suite.run.timing.estimate import Estimate
from suite.run.timing.pace import kind_of
from suite.store.record import RunRecord, run_name
from suite.text import duration
from suite.train.faults import MachineFault


class _Pace:
    """Expected and actual times of trials that should take equally long.

    Attributes, in seconds: `left`, expected for trials that have not ended; `ended`, expected for those that have;
    `took`, the actual time of those.
    """

    def __init__(self) -> None:
        self.left, self.ended, self.took = 0.0, 0.0, 0.0

    @property
    def factor(self) -> float | None:
        """The ratio of actual to expected time; None before the first trial has ended."""
        return self.took / self.ended if self.took and self.ended > 0 else None


class ProgressDisplay(Listener):
    """Shows how many trials are done, running and failed, the time left, and the last accuracy.

    The time left is based on the estimate. The actual time of each ended trial corrects the estimate of trials of the
    same kind. Kinds without an ended trial are corrected by the average of all.
    """

    def __init__(self, console: Console, trials: Sequence[Trial], expected: Estimate) -> None:
        """Create a display.

        Args:
            console: Where to print.
            trials: The trials to run.
            expected: Their estimate. Trials without an estimate count with the mean of the others.
        """
        self._console, self._total, self._expected = console, len(trials), expected
        times = {trial.id: expected.trial_seconds(trial) for trial in trials}
        known = [time for time in times.values() if time is not None]
        mean = fmean(known) if known else 1.0
        self._left = {trial_id: mean if time is None else time for trial_id, time in times.items()}
        kinds = {trial.cell_id: kind_of(trial.config).whole for trial in reversed(trials)}
        self._kinds = {trial.id: kinds[trial.cell_id] for trial in trials}
        self._paces: dict[str, _Pace] = defaultdict(_Pace)
        self._all = _Pace()
        for trial in trials:
            self._paces[self._kinds[trial.id]].left += self._left[trial.id]
        self._names = {trial.id: trial.name for trial in trials}
        self._running: set[str] = set()
        self._ended: Counter[str] = Counter()
        self._last = "–"
        self._reasons: set[str] = set()  # why trials have failed
        self._since: dict[str, float] = {}  # when each running trial was last started
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
        """Count the trial as running."""
        self._running.add(trial.id)
        self._since[trial.id] = time.monotonic()
        self._at_once = max(self._at_once, len(self._running))
        self._show()

    def finished(self, record: RunRecord) -> None:
        """Count the trial as done or failed. Print each new reason of a failure, and outside a terminal a line."""
        self._running.discard(record.trial_id)
        now = time.monotonic()
        began = self._since.pop(record.trial_id, now)
        took = now - began if record.train_seconds is None else record.train_seconds
        expected = self._drop(record.trial_id)
        for pace in (self._paces[self._kinds.get(record.trial_id, "")], self._all):
            pace.ended += expected
            pace.took += took
        self._ended["done" if record.status == "done" else "failed"] += 1
        name = self._names.get(record.trial_id) or run_name(vars(record), record.seed_index)
        result = record.status if record.top1 is None else f"{record.top1:.2f} %"
        self._last = f"{result} ({name})"
        self._show()
        if not self._console.is_terminal:
            self._say(self._line())
        reason = reason_line(record.error or "")
        if record.error and reason not in self._reasons:  # many trials may fail for one reason
            self._reasons.add(reason)
            self._say(f"failed: {name}: {reason}")

    def delayed(self, trial: Trial, fault: MachineFault, seconds: float) -> None:
        """Print a line about a trial that failed from an infrastructure error and waits for its retry."""
        self._running.discard(trial.id)
        self._show()
        where = f" on {fault.node}" if fault.node else ""
        told = reason_line(fault.reason)
        self._say(f"again in {duration(seconds)}: {trial.name} (an error of the machine{where}: {told})")

    def skipped(self, trials: Sequence[Trial], reason: str) -> None:
        """Print one line about all skipped trials."""
        self._total -= len(trials)
        for trial in trials:
            self._drop(trial.id)
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

    def _drop(self, trial_id: str) -> float:
        """Remove a trial from those left. Returns its expected seconds."""
        expected = self._left.pop(trial_id, 0.0)
        self._paces[self._kinds.get(trial_id, "")].left -= expected
        return expected

    def _time_left(self) -> str:
        others = self._all.factor
        if others is None:
            if not self._expected.known or self._expected.unknown:
                return "?"
            others = 1.0
        factors = {kind: others if pace.factor is None else pace.factor for kind, pace in self._paces.items()}
        now = time.monotonic()
        gone = fsum(
            min(now - self._since[trial_id], factors[self._kinds[trial_id]] * self._left[trial_id])
            for trial_id in self._running
            if trial_id in self._left and trial_id in self._since
        )
        left = fsum(factors[kind] * max(pace.left, 0.0) for kind, pace in self._paces.items())
        return duration(max(left - gone, 0.0) / max(min(self._at_once, len(self._left)), 1))
