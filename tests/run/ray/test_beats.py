"""Beats of workers that don't see the results folder: through Ray to the driver, and from it to a status."""

from __future__ import annotations

import time
from dataclasses import dataclass

import pytest

from suite.grid.trial import Trial
from suite.run.events import Job
from suite.store.record import RunRecord
from suite.train.heartbeat import Heartbeat
from tests.records import make_record
from tests.run.ray.cluster import run

pytestmark = [pytest.mark.ray, pytest.mark.filterwarnings("default")]


@dataclass(frozen=True)
class Beating:
    """Takes a step after more than a second, which is worth a message."""

    def __call__(self, job: Job) -> list[RunRecord]:
        with Heartbeat([trial.id for trial in job], None, "a-node") as heart:
            heart.trains(2, 10, "cpu")
            time.sleep(1.1)
            heart.stepped(0, 5, 320)
        return [make_record(trial) for trial in job]


def test_the_driver_hears_them(trials: list[Trial], address: str) -> None:
    heard = run(trials[:1], Beating(), address)
    (beat,) = heard.beats
    assert (beat.trial_id, beat.node, beat.device, beat.step, beat.share) == (trials[0].id, "a-node", "cpu", 5, 0.25)
    assert beat.images_per_second is not None
    assert 0 < beat.images_per_second < 320
    assert heard.records.keys() == {trials[0].id}
