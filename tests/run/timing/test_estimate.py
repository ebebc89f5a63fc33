"""Estimates before a run: what they stand on, and how wide their interval is."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from suite.grid.grid import load_grid
from suite.grid.recipe import Recipe
from suite.grid.trial import Trial
from suite.run.timing.estimate import Where, estimate, side_by_side
from suite.run.timing.here import anywhere, here
from suite.run.timing.pace import Device, Pace, Paces, kind_of, work_of
from suite.store.environment import processor
from suite.train.steps.precision import choose_precision
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


def test_a_pace_of_another_precision_says_nothing(write_grid: Write) -> None:
    """A grid that was set from bf16 to fp32 was once priced by the bf16 calibration, seventy times too high."""
    path = write_grid()
    bf16, fp32 = (trials_of(path, f"recipe.precision={name}") for name in ("bf16", "fp32"))
    slow = replace(pace_of(bf16[0], 700, precision="bf16"), calibrated=True)
    assert estimate(bf16, [slow]).seconds == pytest.approx(4 * 700)
    found = estimate(fp32, [slow])
    assert (found.unknown, found.device) == (4, None)
    # The other way round as well; and what is known of the right one isn't outvoted.
    assert estimate(bf16, [pace_of(fp32[0], 10)]).unknown == 4
    found = estimate(fp32, [slow, slow, slow, pace_of(trials_of(path)[0], 10)])  # `auto` is fp32 on a processor
    assert (found.seconds, found.unknown) == (pytest.approx(40), 0)
    assert {cell.basis for cell in found.cells} == {"another recipe"}
    both = estimate([*bf16, *fp32], [slow, pace_of(fp32[0], 10)])
    assert both.seconds == pytest.approx(4 * 700 + 4 * 10)


@pytest.mark.parametrize(
    ("wanted", "gpu", "fits"),
    [
        ("auto", False, {"fp32"}),
        ("auto", True, {"bf16", "fp16"}),
        ("fp32", False, {"fp32"}),
        ("fp32", True, {"fp32"}),
        ("bf16", False, {"bf16"}),
        ("bf16", True, {"bf16", "fp16"}),
    ],
)
def test_precisions_are_chosen_as_training_chooses_them(wanted: str, gpu: bool, fits: set[str]) -> None:
    names = ("fp32", "bf16", "fp16")
    assert {name for name in names if Device("d", gpu, name, 1).computes(wanted)} == fits
    if not gpu:
        recipe = Recipe.model_construct(precision=wanted)
        assert Device("d", gpu, choose_precision(recipe, torch.device("cpu")).name, 1).computes(wanted)


def test_a_pace_holds_for_one_number_of_threads_and_one_processor(write_grid: Write) -> None:
    trials = trials_of(write_grid())
    paces = [
        pace_of(trials[0], 10),
        pace_of(trials[0], 6, threads=2),
        pace_of(trials[0], 1, device="a GPU", precision="bf16"),
    ]
    assert estimate(trials, paces, where=Where(gpu=False, threads=1)).seconds == pytest.approx(40)
    assert estimate(trials, paces, where=Where(gpu=False, threads=2)).seconds == pytest.approx(24)
    assert estimate(trials, paces, where=Where(gpu=True, threads=8)).seconds == pytest.approx(4)
    assert estimate(trials, paces, where=Where(gpu=False, threads=4)).unknown == 4
    assert estimate(trials, paces, where=Where(False, 1, "another processor")).unknown == 4
    assert estimate(trials, paces, where=Where(False, 1, "a processor")).unknown == 0


def test_where_this_machine_is(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("suite.run.timing.here._GPU_FILES", (str(tmp_path / "gpu"),))
    assert here("auto", 2) == Where(False, 2, processor() or "cpu")
    assert here("cuda", 2).gpu is True
    (tmp_path / "gpu").touch()
    assert here("auto", 2).gpu is None  # torch alone knows whether it can use it
    assert here("cpu", 1).gpu is False
    assert anywhere("auto", 2) == Where(None, 2)
    assert anywhere("cpu", 2) == Where(False, 2)


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
