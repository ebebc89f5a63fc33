"""One attempt at trials: what it does without."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from suite.data.images import load_images
from suite.grid.grid import load_grid
from suite.models.model import Model
from suite.train import attempt
from suite.train.machine import Machine
from suite.train.trials import run_trial


def test_a_model_whose_macs_cant_be_counted_is_trained_without_the_count(
    write_grid: Callable[..., Path], machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attempt, "_MACS", {})
    monkeypatch.setattr(Model, "head_input", lambda self, pooled: pooled.cumsum(dim=1))
    trial = load_grid(write_grid()).expand().trials[0]
    with pytest.warns(UserWarning, match=r"(?s)its record has no MACs: .*aten::cumsum"):
        record = run_trial(trial, machine)
    assert (record.status, record.macs) == ("done", None)
    assert record.params is not None


def _member(write_grid: Callable[..., Path], machine: Machine, vary: str) -> attempt.Attempt:
    """An attempt at two seeds of one cell, that vary in this alone."""
    path = write_grid(("train_images: 128}", f"train_images: 128, vary: [{vary}]" + "}"))
    trials = [trial for trial in load_grid(path).expand().trials if trial.join == "default"]
    train, test = (load_images(trials[0].dataset, split, machine.data_root) for split in ("train", "test"))
    return attempt.Attempt(trials, machine, torch.device("cpu"), train, test)


@pytest.mark.parametrize("vary", ["init", "order", "data"])
def test_two_seeds_differ_in_what_varies_alone(write_grid: Callable[..., Path], machine: Machine, vary: str) -> None:
    """Weights of both seeds after the initialisation, their batches' images, and the order in which these come."""
    made = _member(write_grid, machine, vary)
    first, second = (dict(model.named_parameters()) for model in made.trainer().models())
    same_weights = all(torch.equal(value, second[name]) for name, value in first.items())
    orders = [made._order(one.trial, subset, 1) for one, subset in zip(made.members, made.subsets, strict=True)]
    same_order, same_images = torch.equal(*orders), torch.equal(*(order.sort().values for order in orders))
    assert (same_weights, same_order, same_images) == {
        "init": (False, True, True), "order": (True, False, True), "data": (True, False, False),
    }[vary]  # fmt: skip
    labels = made.images.labels
    assert torch.equal(*(torch.bincount(labels[subset]) for subset in made.subsets))  # balanced in either case


def test_a_redrawn_subset_is_another_training_run(write_grid: Callable[..., Path], machine: Machine) -> None:
    path = write_grid(("train_images: 128}", "train_images: 128, vary: [data]}"), ("epochs: 2", "epochs: 1"))
    trials = [trial for trial in load_grid(path).expand().trials if trial.join == "default"]
    first, second = (run_trial(trial, machine) for trial in trials)
    assert (first.status, second.status) == ("done", "done")
    assert first.history is not None
    assert second.history is not None
    assert first.history[0].train_loss != second.history[0].train_loss
