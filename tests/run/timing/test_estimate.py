"""Estimates before a run: what they stand on, and how wide their interval is."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import pytest

from suite.grid.grid import load_grid
from suite.grid.trial import Trial
from suite.run.timing.estimate import estimate, side_by_side
from suite.run.timing.pace import Device, Pace, Paces, kind_of, work_of
from tests.records import ENVIRONMENT, make_record

Write = Callable[..., Path]
DEVICE = Device("a processor", False, "fp32", 1)


def trials_of(path: Path, *changes: str) -> list[Trial]:
    return list(load_grid(path, changes).expand().trials)


def pace_of(trial: Trial, seconds: float, **environment: object) -> Pace:
    changed = ENVIRONMENT.model_copy(update=environment)
    pace = Paces().of_record(make_record(trial, train_seconds=seconds, environment=changed))
    assert pace is not None
    return pace


def test_nothing_is_known_without_paces(write_grid: Write) -> None:
    found = estimate(trials_of(write_grid()), [])
    assert (found.device, found.seconds, found.known, found.unknown, found.interval) == (None, 0.0, 0, 4, None)
    assert {cell.basis for cell in found.cells} == {"nothing"}
    assert found.trial_seconds(trials_of(write_grid())[0]) is None


def test_one_run_gives_an_estimate_and_no_interval(write_grid: Write) -> None:
    trials = trials_of(write_grid())
    found = estimate(trials, [pace_of(trials[0], 10)], workers=3)
    assert found.seconds == pytest.approx(40)
    assert (found.spread, found.freedom, found.interval, found.wall_interval) == (None, 0, None, None)
    assert found.wall == pytest.approx(20)  # three and then one
    assert found.device == DEVICE


def test_the_interval_is_that_of_t(write_grid: Write) -> None:
    trials = trials_of(write_grid())
    times = [8.0, 10.0, 12.5]
    found = estimate(trials, [pace_of(trials[0], seconds) for seconds in times])
    mean, sd = 30.5 / 3, math.log(1.25)  # the logarithms are -log 1.25, 0, log 1.25
    assert found.seconds == pytest.approx(4 * mean)
    assert found.spread == pytest.approx(sd)
    assert found.freedom == 2
    width = math.exp(4.302653 * sd * math.sqrt(1 + 1 / 3))  # t of 2 degrees of freedom at 97.5 %
    assert found.interval == pytest.approx((4 * mean / width, 4 * mean * width))


def test_spreads_are_pooled_over_kinds(write_grid: Write) -> None:
    path = write_grid(("pe: [learnable]", "pe: [learnable, sin2d]"))
    trials = trials_of(path)
    one, other = (next(trial for trial in trials if trial.pe == pe) for pe in ("learnable", "sin2d"))
    paces = [pace_of(one, 10), pace_of(one, 11), pace_of(other, 20), pace_of(other, 24)]
    found = estimate(trials, paces)
    off = [math.log(1.1) / 2, math.log(1.2) / 2]  # each kind's first run by so much below its mean, and above it
    whole, between = 2 * (off[0] ** 2 + off[1] ** 2), (off[0] + off[1]) ** 2  # which is nearly all: they were off alike
    assert found.freedom == pytest.approx(whole**2 / (between**2 + (whole - between) ** 2))
    assert 1 < found.freedom < 1.2
    assert found.spread == pytest.approx(math.sqrt((math.log(1.1) ** 2 / 2 + math.log(1.2) ** 2 / 2) / 2))
    assert found.seconds == pytest.approx(4 * 10.5 + 4 * 22)
    assert sorted(cell.seconds or 0 for cell in found.cells) == pytest.approx([10.5, 10.5, 22, 22])
    assert {cell.measured for cell in found.cells} == {2}


def test_the_device_of_which_most_is_known_speaks_alone(write_grid: Write) -> None:
    path = write_grid(("pe: [learnable]", "pe: [learnable, sin2d]"), ("tiny]", "tiny, small]"), (
        "axes:", "  small: {family: vit_lite, patch_size: 2, embed_dim: 8, depth: 2, num_heads: 2, mlp_ratio: 1}\naxes:"
    ))  # fmt: skip
    trials = trials_of(path)
    tiny, small = (next(trial for trial in trials if trial.arch.name == name) for name in ("tiny", "small"))
    slow = [pace_of(tiny, 100), pace_of(small, 100)]
    fast = [pace_of(tiny, 1, device="NVIDIA H100", precision="bf16")] * 3
    found = estimate(trials, [*slow, *fast])
    assert found.device == DEVICE
    assert found.unknown == 0
    assert estimate(trials, fast).unknown == len(trials) // 2
    assert {cell.basis for cell in found.cells} == {"runs", "another recipe"}  # sin2d goes by the learnable one


def test_runs_count_before_calibrations_which_know_the_start_up(write_grid: Write) -> None:
    trials = trials_of(write_grid())
    kind, work = kind_of(trials[0].config), work_of(trials[0])
    calibrated = [
        Pace(kind, DEVICE, seconds / work.trained, 0.0, "2026-11-22", start_up=2.0, calibrated=True)
        for seconds in (4.0, 6.0)
    ]
    found = estimate(trials, calibrated, workers=2)
    assert [cell.basis for cell in found.cells] == ["calibration", "calibration"]
    assert found.seconds == pytest.approx(4 * (5 + 2))
    assert found.wall == pytest.approx(2 * 7)
    with_run = estimate(trials, [*calibrated, pace_of(trials[0], 10)])
    assert [cell.basis for cell in with_run.cells] == ["runs", "runs"]
    assert with_run.seconds == pytest.approx(4 * (10 + 2))
    assert with_run.trial_seconds(trials[1]) == pytest.approx(12)


@pytest.mark.parametrize(
    ("times", "workers", "seconds"), [([], 3, 0), ([5], 3, 5), ([1, 1, 1, 9], 2, 10), ([9, 1, 1, 1], 2, 9)]
)
def test_workers_take_the_next_trial_when_they_are_free(times: list[float], workers: int, seconds: float) -> None:
    assert side_by_side(times, workers) == seconds
