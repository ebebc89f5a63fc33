"""What a run says of the time of others."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from suite.grid.grid import load_grid
from suite.grid.trial import Trial
from suite.run.timing.pace import Paces, kind_of, work_of
from tests.records import ENVIRONMENT, make_record

Write = Callable[..., Path]


def trial_of(path: Path, *changes: str) -> Trial:
    return load_grid(path, changes).expand().trials[0]


def test_work_is_whole_batches_and_tests(write_grid: Write) -> None:
    path = write_grid()
    assert work_of(trial_of(path)).trained == 2 * 128
    assert work_of(trial_of(path)).tested == 2 * 602
    longer = work_of(trial_of(path, "recipe.epochs=5", "recipe.test_every=2", "recipe.train_images=190"))
    assert longer.trained == 5 * 128  # 62 images don't fill a batch
    assert longer.tested == 3 * 602  # after the second epoch, the fourth and the last
    assert work_of(trial_of(path, "recipe.train_images=null")).trained == 2 * (1195 // 64 * 64)


def test_the_pace_of_a_run_gives_back_its_time(write_grid: Write) -> None:
    trial = trial_of(write_grid())
    record = make_record(trial, train_seconds=10.0, images_per_second=64.0)  # 4 s of training, 6 s of tests
    pace = Paces().of_record(record)
    assert pace is not None
    assert pace.train == pytest.approx(1 / 64)
    assert pace.test == pytest.approx(6 / (2 * 602))
    assert work_of(trial).seconds(pace) == pytest.approx(10)
    assert pace.device.label == "a processor, fp32, 1 thread"
    assert pace.device.unit == "core-hours"
    assert pace.device.hours(7200) == 2


def test_a_speed_that_contradicts_the_time_does_not_outdo_it(write_grid: Write) -> None:
    trial = trial_of(write_grid())
    pace = Paces().of_record(make_record(trial, train_seconds=1.0, images_per_second=64.0))
    assert pace is not None
    assert pace.test == 0
    assert work_of(trial).seconds(pace) == pytest.approx(1)


def test_hours_of_a_gpu_are_those_of_the_gpu(write_grid: Write) -> None:
    environment = ENVIRONMENT.model_copy(update={"device": "NVIDIA H100", "precision": "bf16", "threads": 4})
    pace = Paces().of_record(make_record(trial_of(write_grid()), environment=environment))
    assert pace is not None
    assert (pace.device.label, pace.device.unit, pace.device.hours(3600)) == ("NVIDIA H100, bf16", "GPU-hours", 1)


def test_failures_and_unknown_data_say_nothing(write_grid: Write) -> None:
    record = make_record(trial_of(write_grid()))
    assert Paces().of_run({**record.model_dump(), "train_seconds": None}) is None
    assert Paces().of_run({**record.model_dump(), "dataset": "flowers"}) is None
    assert Paces().of_run({**record.model_dump(), "train_seconds": 1e-320}) is None
    for missing in ({}, {"batch_size": 32, "test_every": None}, {"batch_size": None, "test_every": 1}):
        assert Paces().of_run({**record.model_dump(), "config": {**record.config, "recipe": missing}}) is None


@pytest.mark.parametrize(
    ("change", "same"),
    [
        ("recipe.epochs=9", True),
        ("recipe.lr=0.1", True),
        ("recipe.train_images=null", True),
        ("axes.join=[lape]", True),
        ("recipe.batch_size=32", False),
        ("recipe.flip=true", False),
        ("axes.pe=[sin2d]", False),
        ("architectures.tiny.depth=3", False),
    ],
)
def test_what_shares_a_pace(write_grid: Write, change: str, same: bool) -> None:
    path = write_grid()
    one, other = kind_of(trial_of(path).config), kind_of(trial_of(path, change).config)
    assert (one.whole == other.whole) is same
    assert (one.model == other.model) is ("depth" not in change)
