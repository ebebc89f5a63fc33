"""The test on corrupted copies of the test images: after the training, which it doesn't change, and in the record."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from suite.data.cache import load_split
from suite.data.corruptions.settings import Corruptions
from suite.data.corruptions.stored import CopiesOf
from suite.errors import InputError
from suite.grid.grid import load_grid
from suite.grid.trial import Trial
from suite.run.prepared import needed
from suite.run.timing.pace import work_of
from suite.store.corruptions import mean_error, unpack_counts
from suite.store.record import RunRecord, unpack_bits
from suite.store.task_fields import OF_CORRUPTIONS
from suite.train.machine import Machine
from suite.train.one_attempt import run_attempt
from suite.train.trials import run_trial
from tests.corrupted import CORRUPTIONS, grid_text, make_copies, prepare_pictures
from tests.records import lasting

Write = Callable[..., Path]


@pytest.fixture
def trials(tmp_path: Path, write_grid: Write) -> list[Trial]:
    """Three seeds of the default join, whose corrupted copies are stored."""
    dataset = prepare_pictures(tmp_path)
    found = list(load_grid(write_grid(text=grid_text(dataset.checksum))).expand().trials)
    corruptions = found[0].recipe.corruptions
    assert corruptions is not None
    make_copies(dataset, corruptions, tmp_path)
    return [trial for trial in found if trial.join == "default"]


def test_the_training_is_the_same_and_the_record_has_the_errors(
    tmp_path: Path, write_grid: Write, trials: list[Trial]
) -> None:
    machine = Machine(tmp_path, "cpu")
    record = run_trial(trials[0], machine)
    text = grid_text(trials[0].dataset.checksum)
    without = load_grid(write_grid((f", corruptions: {CORRUPTIONS}", ""), text=text)).expand().trials[0]
    plain = run_trial(without, machine)
    ids = {"config", "trial_id", "cell_id", *OF_CORRUPTIONS}
    assert {k: v for k, v in lasting(record).items() if k not in ids} == {
        k: v for k, v in lasting(plain).items() if k not in ids
    }
    assert not set(OF_CORRUPTIONS) & set(json.loads(plain.model_dump_json()))
    errors, packed = record.corruption_errors, record.corruption_wrong
    assert errors is not None
    assert packed is not None
    assert {kind: list(each) for kind, each in errors.items()} == {"fog": ["1", "5"], "contrast": ["1", "5"]}
    wrong = unpack_counts(packed)
    assert (len(wrong), record.corruption_images) == (12, 12)
    assert record.corruption_error == pytest.approx(100 * wrong.sum() / 48)
    assert record.corruption_error == mean_error(errors)
    assert errors["fog"] == errors["contrast"]  # the same copies, by `tests.corrupted.darker`
    again = RunRecord.model_validate_json(record.model_dump_json())
    assert again == record
    assert work_of(trials[0]).tested - work_of(without).tested == 4 * 12


def test_copies_that_equal_the_images_have_the_answers_of_the_clean_test(tmp_path: Path, trials: list[Trial]) -> None:
    whole = Corruptions.model_validate({"kinds": ["snow"], "severities": [1, 2]})
    test = load_split(trials[0].dataset, "test", tmp_path).images
    CopiesOf(trials[0].dataset, whole, 1.0, tmp_path).make(
        lambda places: test[list(places)], range(20), lambda *of: of[3]
    )
    trial = replace(trials[0], recipe=trials[0].recipe.model_copy(update={"corruptions": whole}))
    record = run_trial(trial, Machine(tmp_path, "cpu"))
    assert record.corruption_wrong is not None
    assert record.correct is not None
    right = unpack_bits(record.correct, 20)
    assert np.array_equal(unpack_counts(record.corruption_wrong), 2 * ~right)
    assert record.corruption_error == 100 - (record.top1 or 0)


def test_seeds_that_are_trained_together_are_tested_each_for_itself(tmp_path: Path, trials: list[Trial]) -> None:
    machine = Machine(tmp_path, "cpu")
    together = [record for record, _ in run_attempt(trials, machine, None, None)[0]]
    alone = [run_trial(trial, machine) for trial in trials]
    assert [one.environment.stacked for one in together] == [3, 3, 3]
    assert [one.corruption_error for one in together] == [one.corruption_error for one in alone]
    assert [one.corruption_data for one in together] == [one.corruption_data for one in alone]


def test_before_a_run_a_damaged_copy_is_told(tmp_path: Path, trials: list[Trial]) -> None:
    check = needed(trials, tmp_path)
    check()
    (path,) = (tmp_path / "corruptions").glob("*/fog-5.npy")
    path.write_bytes(path.read_bytes()[:-1] + b"!")
    with pytest.raises(InputError, match="corrupted copies of test images are damaged on disk"):
        check()
