"""Records without training, for tests of what stands right of the store."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from suite.grid.trial import Trial
from suite.store.beats import Beat
from suite.store.record import VOLATILE, Environment, Epoch, RunRecord, pack_bits
from suite.train.faults import MachineFault

ENVIRONMENT = Environment(
    torch="2.15.0",
    device="cpu",
    precision="fp32",
    python="3.11.7",
    platform="Linux x86_64",
    processor="a processor",
    threads=1,
    suite="0.1.0",
    commit=None,
)


def make_record(trial: Trial, top1: float = 50.0, **changes: Any) -> RunRecord:
    """The record of a trial that was never run; `changes` replace fields. Two seeds differ in their training losses."""
    values: dict[str, Any] = {
        **trial.identity,
        "status": "done",
        "epochs": trial.recipe.epochs,
        "top1": top1,
        "top1_best_epoch": min(top1 + 0.5, 100.0),
        "test_loss": 1.0 + 1e-6 * trial.seed_index,
        "params": 1000,
        "macs": 2000,
        "train_seconds": 10.0,
        "images_per_second": 100.0,
        "peak_memory_mb": 300.0,
        "started_at": "2026-11-21T00:00:00+00:00",
        "environment": ENVIRONMENT,
        "test_images": 10_000,
        "correct": pack_bits(np.arange(10_000) < round(100 * top1)),
        "history": tuple(
            Epoch(epoch=epoch, lr=0.1, train_loss=1.0 + 1e-6 * trial.seed_index, top1=top1, test_loss=1.0, seconds=1.0)
            for epoch in range(trial.recipe.epochs)
        ),
    }
    if changes.get("status", "done") != "done":
        values |= dict.fromkeys(("top1", "top1_best_epoch", "test_loss", "correct", "test_images"))
    return RunRecord(**{**values, **changes})


def lasting(record: RunRecord) -> dict[str, Any]:
    """What of a record the same training gives again: all but times."""
    values = record.model_dump(exclude=set(VOLATILE))
    for epoch in values["history"] or ():
        del epoch["seconds"]
    return values


@dataclass(frozen=True)
class EachOf:
    """Runs a job, trial by trial. Picklable if the function is."""

    function: Callable[[Trial], RunRecord]

    def __call__(self, job: tuple[Trial, ...]) -> list[RunRecord]:
        return [self.function(trial) for trial in job]


def lines(path: Path) -> list[dict[str, Any]]:
    """What lasts of the records in a runs.jsonl."""
    ignored = {*VOLATILE, "environment"}
    return [
        {key: value for key, value in json.loads(line).items() if key not in ignored}
        for line in path.read_text().splitlines()
    ]


class Heard:
    """Keeps what it is told of a run."""

    def __init__(self) -> None:
        self.starts: list[str] = []
        self.beats: list[Beat] = []
        self.records: dict[str, RunRecord] = {}
        self.delays: list[tuple[str, MachineFault, float]] = []
        self.left_out: list[str] = []

    def started(self, trial: Trial) -> None:
        self.starts.append(trial.id)

    def progressed(self, beat: Beat) -> None:
        self.beats.append(beat)

    def finished(self, record: RunRecord) -> None:
        assert record.trial_id not in self.records
        self.records[record.trial_id] = record

    def delayed(self, trial: Trial, fault: MachineFault, seconds: float) -> None:
        self.delays.append((trial.id, fault, seconds))

    def skipped(self, trials: Sequence[Trial], reason: str) -> None:
        self.left_out += [trial.id for trial in trials]
