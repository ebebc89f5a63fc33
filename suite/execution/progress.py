"""How far a run is: a live display in a terminal, plain lines elsewhere."""

from __future__ import annotations

import time
from collections import Counter
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn
from rich.table import Column

from suite.heartbeat import Beat
from suite.record import RunRecord
from suite.text import duration
from suite.trial import Trial


class ProgressDisplay:
    """Shows trials done, running and failed, the time left, and the last accuracy."""

    def __init__(self, console: Console, total: int) -> None:
        self._console, self._total = console, total
        self._running: set[str] = set()
        self._ended: Counter[str] = Counter()
        self._last = "–"
        self._began = time.monotonic()
        self._bar = Progress(
            BarColumn(bar_width=24),
            TextColumn("{task.description}", table_column=Column(no_wrap=True)),
            console=console,
            disable=not console.is_terminal,
        )
        self._task = self._bar.add_task(self._line(), total=total)

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
        self._show()

    def progressed(self, beat: Beat) -> None:
        """`lape status --watch` shows it."""

    def finished(self, record: RunRecord) -> None:
        """A trial has ended: a line of its own, where there is no terminal to redraw."""
        self._running.discard(record.trial_id)
        self._ended["done" if record.status == "done" else "failed"] += 1
        name = f"{record.arch} {record.pe} {record.join} {record.dataset} seed {record.seed_index}"
        result = record.status if record.top1 is None else f"{record.top1:.2f} %"
        self._last = f"{result} ({name})"
        self._show()
        if not self._console.is_terminal:
            self._console.print(self._line(), highlight=False, soft_wrap=True, markup=False)

    def _show(self) -> None:
        self._bar.update(self._task, description=self._line(), completed=self._ended.total())

    def _line(self) -> str:
        failed = f" · {self._ended['failed']} failed" if self._ended["failed"] else ""
        return (
            f"{self._ended['done']}/{self._total} done · {len(self._running)} running{failed}"
            f" · {self._time_left()} left · last {self._last}"
        )

    def _time_left(self) -> str:
        ended = self._ended.total()
        if not ended:
            return "?"
        return duration((time.monotonic() - self._began) / ended * (self._total - ended))
