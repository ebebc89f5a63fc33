"""Calibration: measure a few training steps of each kind of trial on this machine. It creates no records.

As many processes measure at once as trials will run at once. Each round builds the model, as a trial does, and then
trains and tests for about a second. Every round measures all kinds in turn. All processes measure the same kind at the
same time, so that they slow each other down as trials will.
"""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from statistics import fmean
from threading import BrokenBarrierError
from typing import Any

import torch

from suite.data.cache import data_root
from suite.data.held_out import Part
from suite.data.images import load_images
from suite.errors import InputError, first_line
from suite.grid.methods import Carried
from suite.grid.trial import Trial
from suite.run.timing.forecast import Measured
from suite.run.timing.load import Load
from suite.run.timing.pace import Pace, device_of, kind_of
from suite.text import Progress
from suite.train.attempt import Attempt
from suite.train.clock import Clock
from suite.train.machine import Machine
from suite.train.one_attempt import process_for
from suite.train.other_models import load_other_models
from suite.train.steps.seeds import SeedTrainer
from suite.train.steps.trainer import TEST_BATCH
from suite.train.timed_steps import time_steps, warm_up_steps

ROUNDS = 3
SECONDS = 1.0  # seconds of training, and of testing, per round; at least one whole step
_LOOK_EVERY = 1.0  # seconds between two updates of the progress display
_PATIENCE = 3600.0  # seconds for which processes wait for each other


def calibrate(trials: Sequence[Trial], machine: Machine, workers: int, rounds: int = ROUNDS) -> Measured:
    """Measure the pace (seconds per image) of each kind of trial.

    Args:
        trials: One trial of each kind.
        machine: How this machine is used.
        workers: Processes that measure at once. They share a GPU if they train on one.
        rounds: Measurements of each kind per process.

    Raises:
        InputError: The data are not prepared, the device doesn't exist, or a trial can't be trained.
    """
    machine.torch_device()  # raises an error early if the device doesn't exist
    context = multiprocessing.get_context("spawn")
    barrier, measured, began = context.Barrier(workers), context.Value("i", 0), time.time()
    load = Load()
    with ProcessPoolExecutor(workers, context, _meet, (Carried(), barrier, measured)) as pool:
        found = [pool.submit(_measure, tuple(trials), machine, rounds, began) for _ in range(workers)]
        with Progress("calibrating", rounds * len(trials) * workers, "measurements") as progress:
            told = 0
            while wait(found, timeout=_LOOK_EVERY).not_done:
                now = measured.value
                progress.advance(now - told)
                told = now
        errors = [error for future in found if (error := future.exception()) is not None]
        if errors:
            # A BrokenBarrierError only means that another process failed.
            raise next((error for error in errors if not isinstance(error, BrokenBarrierError)), errors[0])
        results = [future.result() for future in found]
    paces = [_mean(together) for together in zip(*(paces for _, paces in results), strict=True)]
    return Measured(
        made_at=datetime.now(UTC).isoformat(timespec="seconds"),
        workers=workers,
        worker_seconds=max(0.0, *(seconds for seconds, _ in results)),
        paces=paces,
        load=load.of_others(),  # after the workers have ended, because only then their own time is known
    )


def calibrate_here(trials: Sequence[Trial], machine: Machine, rounds: int = 2) -> Measured:
    """Measure as `calibrate` does, but in this process: sooner, for trials that run one at a time.

    Args:
        trials: One trial of each kind.
        machine: How this machine is used.
        rounds: Measurements of each kind; the first one doesn't tell how long a trial takes to begin.

    Raises:
        InputError: The data are not prepared, the device doesn't exist, or a trial can't be trained.
    """
    load = Load()
    with Progress("calibrating", rounds * len(trials), "measurements") as progress:
        paces = []
        for number in range(rounds):
            for trial in trials:
                paces.append(_pace(trial, machine, number > 0))
                progress.advance(1)
    return Measured(datetime.now(UTC).isoformat(timespec="seconds"), 1, 0.0, paces, load.of_others())


def _mean(paces: Sequence[Pace]) -> Pace:
    start_ups = [pace.start_up for pace in paces if pace.start_up is not None]
    return replace(
        paces[0],
        train=fmean(pace.train for pace in paces),
        test=fmean(pace.test for pace in paces),
        start_up=fmean(start_ups) if start_ups else None,
    )


_barrier: Any = None  # shared by all measuring processes
_measured: Any = None  # the number of measurements by all of them


def _meet(methods: Carried, barrier: Any, measured: Any) -> None:
    global _barrier, _measured  # a process pool can pass synchronisation objects only to its initializer
    _barrier, _measured = barrier, measured


def _measure(trials: Sequence[Trial], machine: Machine, rounds: int, began: float) -> tuple[float, list[Pace]]:
    """Run all measurements of one process.

    Args:
        trials: One trial of each kind.
        machine: How this machine is used.
        rounds: Measurements of each kind.
        began: When the calibration began, as `time.time` has it.

    Returns:
        Seconds until all processes were ready, and the paces, round by round.
    """
    try:
        _barrier.wait(_PATIENCE)
        ready = time.time() - began
        return ready, [_counted(_pace(trial, machine, number > 0)) for number in range(rounds) for trial in trials]
    except BaseException:
        _barrier.abort()
        raise


def _counted(pace: Pace) -> Pace:
    with _measured.get_lock():
        _measured.value += 1
    return pace


def _pace(trial: Trial, machine: Machine, again: bool) -> Pace:
    """Measure one round of one kind.

    Args:
        trial: A trial of the kind.
        machine: How this machine is used.
        again: Whether this is not the first round. Only the first reads the data from disk, so its start-up time is
            not used.
    """
    began, device, root = time.perf_counter(), machine.torch_device(), machine.data_root or data_root()
    train, test = (load_images(trial.dataset, split, root) for split in ("train", "test"))
    attempt = Attempt([trial], machine, device, train, test, load_other_models(trial, root))
    with process_for(device, machine, attempt.compiled), _told(trial):
        trainer, warm_up = attempt.trainer(), warm_up_steps(device)
        time_steps(attempt, trainer, warm_up)
        start_up = time.perf_counter() - began
        step = time_steps(attempt, trainer, 1)
        training = _train(attempt, trainer, step)
        testing = _test(attempt, trainer)
    start_up = max(start_up - warm_up * step, 0.0)
    return Pace(
        kind_of(trial.config),
        device_of(attempt.environment.model_dump()),
        train=training,
        test=testing,
        at=datetime.now(UTC).isoformat(timespec="seconds"),
        start_up=start_up if again else None,
        calibrated=True,
    )


@contextmanager
def _told(trial: Trial) -> Iterator[None]:
    try:
        yield
    except (RuntimeError, MemoryError) as error:  # from torch, such as a failed allocation
        raise InputError(
            "a trial can't be trained, not even for a few steps",
            expected="memory and a device for it",
            found=first_line(error),
            where=trial.label,
            fix="try fewer at a time with --workers, or `lape run` with --limit 1, which keeps the whole message",
        ) from None


def _train(attempt: Attempt, trainer: SeedTrainer, step: float) -> float:
    """Seconds of training per image. If epochs are short, whole epochs are measured, including their overhead.

    Args:
        attempt: The attempt.
        trainer: Its trainer, after warm-up.
        step: Approximate seconds per step.
    """
    wanted = max(round(SECONDS / max(step, 1e-6)), 1)
    if wanted < attempt.steps:
        return time_steps(attempt, trainer, wanted) / (wanted * attempt.recipe.batch_size)
    epochs, began = 0, time.perf_counter()
    while time.perf_counter() - began < SECONDS:
        losses = attempt.train_epoch(trainer, epochs % attempt.epochs, {}, Clock())
        losses.sum().item()  # synchronises with the device
        epochs += 1
    return (time.perf_counter() - began) / (epochs * attempt.steps * attempt.recipe.batch_size)


def _test(attempt: Attempt, trainer: SeedTrainer) -> float:
    """Seconds of testing per image, measured on the whole test set, or on as many images as fit in the time."""
    count, whole = TEST_BATCH, len(attempt.test_images)
    while True:
        part = Part(attempt.test_images, torch.arange(min(count, whole)))
        began = time.perf_counter()
        trainer.test(part)
        seconds = time.perf_counter() - began
        if seconds >= SECONDS / 2 or count >= whole:
            return seconds / len(part)
        count = max(round(count * SECONDS / max(seconds, 1e-3)) // TEST_BATCH * TEST_BATCH, 2 * count)
