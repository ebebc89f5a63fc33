"""The progress of a grid, from its records and the heartbeats of its running trials."""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from suite.errors import reason_line
from suite.grid.grid import Expansion
from suite.grid.trial import Trial
from suite.run.outcomes import Outcome, Outcomes
from suite.run.timing.estimate import Estimate, estimate, side_by_side
from suite.run.timing.pace import Device, Pace
from suite.store.beats import LOST, Beat, Running, Seen

_ENOUGH = 0.02  # fraction of a training run after which its own speed predicts when it ends


@dataclass(frozen=True)
class Underway:
    """A running trial. `silent` is the time since its last heartbeat in seconds; `lost`: that is too long."""

    label: str
    beat: Beat
    silent: float
    lost: bool


@dataclass(frozen=True)
class Node:
    """A machine with running trials. `images_per_second` is the sum over them."""

    name: str
    running: int
    images_per_second: float


@dataclass(frozen=True)
class View:
    """The state of a grid at one moment.

    Some of the fields:
        failed: Number of failed trials by status.
        spent: Hours that ended and running trials have taken, by unit.
        left: Hours that the remaining trials will take, by unit.
        seconds_left: Seconds until all trials have ended, if as many as now run at a time; None if no trial is running
            or no time is known.
        unknown: Number of trials without an estimate. `left` and `seconds_left` don't include them.
    """

    grid: str
    at: str
    total: int
    done: int
    failed: dict[str, int]
    underway: tuple[Underway, ...]
    nodes: tuple[Node, ...]
    images_per_second: float
    trained_seconds: float
    spent: dict[str, float]
    left: dict[str, float]
    seconds_left: float | None
    unknown: int
    failures: tuple[Outcome, ...]
    estimate: Estimate

    @property
    def running(self) -> int:
        """Number of trials with recent heartbeats."""
        return sum(not trial.lost for trial in self.underway)

    @property
    def lost(self) -> int:
        """Number of trials whose heartbeats have stopped. They count as to do."""
        return len(self.underway) - self.running

    @property
    def to_do(self) -> int:
        """Number of trials that are neither done, nor failed, nor running."""
        return self.total - self.done - sum(self.failed.values()) - self.running

    @property
    def complete(self) -> bool:
        """Whether every trial has ended, successfully or not."""
        return self.done + sum(self.failed.values()) == self.total

    def values(self) -> dict[str, Any]:
        """The view as JSON-compatible values, for other programs. Times are in seconds unless the key says hours."""
        return {
            "grid": self.grid,
            "at": self.at,
            "complete": self.complete,
            "trials": {"total": self.total, "to_do": self.to_do, "running": self.running, "lost": self.lost}
            | {"done": self.done, "failed": self.failed},
            "nodes": [asdict(node) for node in self.nodes],
            "images_per_second": self.images_per_second,
            "spent_hours": self.spent,
            "left_hours": self.left,
            "seconds_left": self.seconds_left,
            "trials_without_estimate": self.unknown,
            "underway": [
                {"label": trial.label, "lost": trial.lost, "silent": trial.silent, "share": trial.beat.share}
                | trial.beat.model_dump()
                for trial in self.underway
            ],
            "failures": [
                {"trial_id": outcome.trial_id, "label": outcome.label, "status": outcome.status, "node": outcome.node}
                | {"error": reason_line(outcome.error)}
                for outcome in self.failures
            ],
        }


class Watcher:
    """Watches a results folder. Unchanged files are not read again.

    Args:
        name: The name of the grid.
        expansion: The trials of the grid.
        folder: The results folder.
        calibrated: Measured speeds from a calibration, used together with those of the runs.
        renewed: Called before each look for the trials as they are then; None: they stay the same.
    """

    def __init__(
        self,
        name: str,
        expansion: Expansion,
        folder: Path,
        calibrated: Sequence[Pace] = (),
        renewed: Callable[[], Expansion] | None = None,
    ) -> None:
        self._name, self._expansion, self._calibrated, self._renewed = name, expansion, calibrated, renewed
        self._outcomes = Outcomes(folder, {trial.dataset.name: trial.dataset for trial in expansion.trials}.values())
        self._running = Running(folder)
        self._heard: dict[str, tuple[int, float]] = {}  # each trial's last heartbeat, and when it came by our own clock

    def look(self) -> View:
        """The current state of the grid.

        Raises:
            InputError: A record is damaged.
        """
        beats = self._running.read()  # before the outcomes, so that a trial that ends meanwhile counts as ended
        outcomes = self._outcomes.read()
        if self._renewed is not None:
            self._expansion = self._renewed()
        trials = self._expansion.trials
        by_trial = [(trial, outcomes.get((trial.cell_id, trial.seed_index))) for trial in trials]
        ended = [outcome for _, outcome in by_trial if outcome is not None]
        open_trials = [trial for trial, outcome in by_trial if outcome is None]
        underway = self._underway(open_trials, beats)
        alive = {trial.beat.trial_id: trial.beat for trial in underway if not trial.lost}
        paces = [outcome.pace for outcome in outcomes.values() if outcome.pace is not None]
        expected = estimate(open_trials, [*paces, *self._calibrated], max(len(alive), 1))
        # Trial ids need a hash each. Without heartbeats they are not needed.
        going = [alive.get(trial.id) if alive else None for trial in open_trials]
        remaining = [_remaining(trial, beat, expected) for trial, beat in zip(open_trials, going, strict=True)]
        # Running trials come first, because the others wait for their workers.
        first = sorted(zip(going, remaining, strict=True), key=lambda pair: pair[0] is None)
        known = [seconds for _, seconds in first if seconds is not None]
        seconds_left = side_by_side(known, len(alive)) if alive and known else None
        # A record doesn't say which of its recipe's settings are axes of the grid; a trial's label does.
        failures = tuple(
            replace(outcome, label=trial.name)
            for trial, outcome in by_trial
            if outcome is not None and outcome.status != "done"
        )
        return View(
            grid=self._name,
            at=datetime.now(UTC).isoformat(timespec="seconds"),
            total=len(trials),
            done=len(ended) - len(failures),
            failed=dict(sorted(Counter(outcome.status for outcome in failures).items())),
            underway=underway,
            nodes=_nodes(alive.values()),
            images_per_second=sum(beat.images_per_second or 0.0 for beat in alive.values()),
            trained_seconds=sum(outcome.seconds for outcome in ended),
            spent=_spent(ended, alive.values(), expected.device),
            left=_left(remaining, expected.device),
            seconds_left=seconds_left,
            unknown=sum(seconds is None for seconds in remaining),
            failures=failures,
            estimate=expected,
        )

    def _underway(self, open_trials: Sequence[Trial], beats: Mapping[str, Seen]) -> tuple[Underway, ...]:
        now = time.monotonic()
        found = []
        for trial in open_trials if beats else ():
            seen = beats.get(trial.id)
            if seen is None:
                continue
            before = self._heard.get(trial.id)
            if before is not None and before[0] == seen.written:
                silent = now - before[1]
            else:
                silent = seen.age if before is None else 0.0
                self._heard[trial.id] = (seen.written, now - silent)
            found.append(Underway(trial.name, seen.beat, round(silent, 1), silent > LOST))
        self._heard = {trial_id: heard for trial_id, heard in self._heard.items() if trial_id in beats}
        return tuple(found)


def _remaining(trial: Trial, beat: Beat | None, expected: Estimate) -> float | None:
    whole = expected.trial_seconds(trial)
    if beat is None:
        return whole
    if beat.share is not None and beat.share >= _ENOUGH:
        return beat.seconds / beat.share - beat.seconds
    return None if whole is None else max(whole - beat.seconds, 0.0)


def _nodes(beats: Iterable[Beat]) -> tuple[Node, ...]:
    found: dict[str, Node] = {}
    for beat in beats:
        name = beat.node or "unknown"
        node = found.setdefault(name, Node(name, 0, 0.0))
        speed = node.images_per_second + (beat.images_per_second or 0.0)
        found[name] = replace(node, running=node.running + 1, images_per_second=speed)
    return tuple(found[name] for name in sorted(found))


def _spent(ended: Iterable[Outcome], beats: Iterable[Beat], device: Device | None) -> dict[str, float]:
    hours: dict[str, float] = defaultdict(float)
    for outcome in ended:
        if outcome.seconds:
            hours["GPU-hours" if outcome.gpu else "core-hours"] += (
                outcome.seconds / 3600 * (1 if outcome.gpu else outcome.threads)
            )
    for beat in beats:
        gpu = beat.device not in (None, "cpu")
        threads = device.threads if device is not None and not device.gpu else 1
        hours["GPU-hours" if gpu else "core-hours"] += beat.seconds / 3600 * (1 if gpu else threads)
    return dict(hours)


def _left(remaining: Iterable[float | None], device: Device | None) -> dict[str, float]:
    if device is None:
        return {}
    return {device.unit: device.hours(sum(seconds for seconds in remaining if seconds is not None))}
