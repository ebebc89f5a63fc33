"""A validation split: held out of training, evaluated beside the test, and kept in records and histories."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from suite.data.held_out import Part, hold_out
from suite.data.images import Images, load_images
from suite.errors import InputError
from suite.grid.grid import load_grid
from suite.grid.trial import Trial
from suite.run.timing.pace import work_of
from suite.store.folder import Store
from suite.store.frames import load_frame, load_history
from suite.store.storage import Folder
from suite.store.task_fields import OF_VALIDATION
from suite.train.machine import Machine
from suite.train.one_attempt import prepare_attempt, run_attempt
from suite.train.trials import run_trial
from tests.records import lasting, make_record

Write = Callable[..., Path]
SPLIT = ("train_images: 128", "train_images: 160, validation: 0.2")


def trials_with(write_grid: Write, *replacements: tuple[str, str]) -> list[Trial]:
    return list(load_grid(write_grid(*replacements, name="with.yaml")).expand().trials)


def test_held_out_images_are_drawn_from_every_class() -> None:
    labels = torch.tensor([0] * 60 + [1] * 30 + [2] * 10)
    subset = torch.arange(0, 100, 2)
    kept, held = hold_out(labels, subset, 10, seed=3)
    assert sorted([*kept.tolist(), *held.tolist()]) == subset.tolist()
    assert torch.bincount(labels[held]).tolist() == [6, 3, 1]
    assert torch.equal(hold_out(labels, subset, 10, seed=3)[1], held)
    assert not torch.equal(hold_out(labels, subset, 10, seed=4)[1], held)


def test_both_sides_and_all_seeds_hold_out_the_same_images_unless_the_recipe_says_so(
    write_grid: Write, machine: Machine
) -> None:
    def kept(*replacements: tuple[str, str]) -> list[set[int]]:
        trials = trials_with(write_grid, *replacements)
        return [set(prepare_attempt([trial], machine).subsets[0].tolist()) for trial in trials]

    default_0, lape_0, default_1, lape_1 = kept(SPLIT)
    assert len(default_0) == 128
    assert default_0 == lape_0 == default_1 == lape_1
    assert default_0 != kept(SPLIT, ("seeds:", "seed: 5\nseeds:"))[0]  # another grid seed
    default_0, lape_0, default_1, _ = kept((SPLIT[0], SPLIT[1] + ", validation_by_seed: true"))
    assert default_0 == lape_0 != default_1
    (whole, *_) = kept(("train_images: 128", "train_images: 160"))
    assert default_0 < whole


def test_they_are_evaluated_and_never_trained_on(
    write_grid: Write, machine: Machine, data_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trial = trials_with(write_grid, SPLIT)[0]
    attempt = prepare_attempt([trial], machine)
    seen: list[torch.Tensor] = []
    trainer = attempt.trainer()
    monkeypatch.setattr(attempt, "trainer", lambda: trainer)
    trains = trainer.train_epoch

    def watched(images: Images, orders: list[torch.Tensor], *rest: Any) -> torch.Tensor:
        seen.extend(orders)
        return trains(images, orders, *rest)

    monkeypatch.setattr(trainer, "train_epoch", watched)
    attempt.train()
    (member,) = attempt.members
    trained = set(torch.cat(seen).tolist())
    held_out = set(range(1797)) & set(attempt.validation[0]._indices.tolist())
    assert len(held_out) == 32
    assert not trained & held_out
    status, fields = member.outcome()
    assert status == "done"
    right, (loss,) = trainer.test(
        Part(load_images(trial.dataset, "train", data_folder), torch.tensor(sorted(held_out)))
    )
    assert fields["validation_images"] == 32
    assert fields["validation_top1"] == 100 * right[0].double().mean().item() == member.history[-1].validation_top1
    assert member.history[-1].validation_loss == pytest.approx(loss)
    best = max(range(2), key=lambda epoch: member.history[epoch].validation_top1 or 0)
    assert fields["validation_top1_best_epoch"] == member.history[best].validation_top1
    assert fields["top1_best_validation"] == member.history[best].top1


def test_a_run_without_a_split_is_the_one_it_was(write_grid: Write, machine: Machine, tmp_path: Path) -> None:
    """The same images in another recipe give the same weights: evaluating more doesn't touch the training."""
    split = trials_with(write_grid, SPLIT)[0]
    with_split, attempt = run_trial(split, machine), prepare_attempt([split], machine)
    subset, attempt.validation = attempt.subsets[0], []
    attempt.train()
    assert len(subset) == 128
    assert attempt.members[0].outcome()[1]["correct"] == with_split.correct
    plain = run_trial(trials_with(write_grid)[0], machine)
    assert not set(OF_VALIDATION) & json.loads(plain.model_dump_json()).keys()


def test_a_stack_of_seeds_evaluates_each_on_its_own_images(write_grid: Write, machine: Machine) -> None:
    replacement = (SPLIT[0], SPLIT[1] + ", validation_by_seed: true")
    own = [trial for trial in trials_with(write_grid, replacement) if trial.join == "lape"]
    found, _ = run_attempt(own, machine, None, None)
    for (record, _), trial in zip(found, own, strict=True):
        alone = run_trial(trial, machine)
        assert record.status == "done"
        assert record.validation_images == 32
        assert record.validation_top1 == pytest.approx(alone.validation_top1, abs=100 * 2 / 32)
        assert record.history is not None
        assert alone.history is not None
        assert record.history[0].validation_loss == pytest.approx(alone.history[0].validation_loss, rel=1e-3)


def test_a_killed_run_resumes_with_its_validation_accuracies(
    write_grid: Write, machine: Machine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trial, place = trials_with(write_grid, SPLIT)[0], Folder(tmp_path / "kept")
    whole = run_trial(trial, machine)
    eager = replace(machine, snapshot_seconds=0)
    offered = 0

    def once_more(*_: object) -> None:
        nonlocal offered
        offered += 1
        if offered == 2:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("suite.train.attempt.Attempt._check_time", once_more)
        with pytest.raises(KeyboardInterrupt):
            run_attempt([trial], eager, place, None)
    ((record, _),), _ = run_attempt([trial], eager, place, None)
    assert lasting(record) == lasting(whole)
    assert record.validation_top1 is not None


def test_the_columns_are_there_only_where_a_run_has_them(write_grid: Write, tmp_path: Path) -> None:
    kept = Store(tmp_path / "kept")
    plain, split = trials_with(write_grid)[0], trials_with(write_grid, SPLIT)[0]
    with kept.lock():
        kept.put(make_record(plain))
        kept.collect()
        before = (kept.folder / "runs.jsonl").read_text()
        assert "validation" not in before
        assert "validation_top1" not in load_history(kept.folder)
        history = [
            {**epoch.model_dump(), "validation_top1": 40.0 + n, "validation_loss": 2.0}
            for n, epoch in enumerate(make_record(split).history or ())
        ]
        kept.put(make_record(split, history=history, validation_images=32, validation_top1=41.0,
                             validation_top1_best_epoch=41.0, top1_best_validation=50.0))  # fmt: skip
        kept.collect()
    found = load_history(kept.folder).groupby("trial_id")["validation_top1"].apply(list).to_dict()
    assert found[split.id] == [40.0, 41.0]
    assert all(value != value for value in found[plain.id])
    assert before.strip() in (kept.folder / "runs.jsonl").read_text()
    frame = load_frame(kept.folder).set_index("trial_id")
    assert frame.loc[split.id, "validation_top1"] == 41.0
    assert frame["validation_top1"].isna().sum() == 1


@pytest.mark.parametrize(
    ("value", "told"),
    [
        ("0", "a number of training images"), ("1.5", "a number of training images"), ("all", "a part of them"),
        ("0.51", "at most 64 of 128 images held out"), ("65", "65 images, with batch_size 64"),
        ("200", "at most 64 of 128"), ("null, validation_by_seed: true", "has no effect without validation"),
    ],
)  # fmt: skip
def test_a_split_that_cannot_be_is_refused(write_grid: Write, value: str, told: str) -> None:
    path = write_grid(("train_images: 128", f"train_images: 128, validation: {value}"))
    with pytest.raises(InputError, match=told) as caught:
        load_grid(path).expand()
    assert f"{path}, line" in caught.value.problems[0].where


def test_the_price_follows(write_grid: Write) -> None:
    plain, split = (work_of(trials_with(write_grid, *change)[0]) for change in ((), [SPLIT]))
    assert split.trained == plain.trained == 2 * 128
    assert split.tested - plain.tested == 2 * 32
