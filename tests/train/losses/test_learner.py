"""Training by losses on patches: pairs, shares, stacks, and what is left of it all in the tested model."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from suite.data.images import load_images
from suite.grid.grid import load_grid
from suite.grid.losses import LOSSES
from suite.grid.trial import Trial
from suite.models.architectures import resolve_architecture
from suite.models.build import build_model
from suite.models.costs.macs import count_parameters
from suite.models.families.transformer import Tokens
from suite.models.levels import Cell
from suite.models.sizes import Size
from suite.store.storage import Folder
from suite.train import trials as entrance
from suite.train.attempt import Attempt
from suite.train.losses.diversity import Seen, cosine, mixing
from suite.train.losses.learner import Learner
from suite.train.losses.objective import Objective
from suite.train.losses.target import Target
from suite.train.machine import Machine
from suite.train.steps.shares import Split
from suite.train.trials import run_trial, train_trials
from tests.grid.test_losses import recipe
from tests.models.test_conformance import SIZES, TRANSFORMERS, build
from tests.records import lasting
from tests.train.steps.test_seed_stack import losses_of_steps
from tests.train.test_snapshot import stopped

Write = Callable[..., Path]
MIXES = "cutmix: 1.0, cutmix_grid: 4, label_smoothing: 0.1, ema_decay: 0.5,"
NOISE = "mlp_ratio: 1, attn_drop: 0.2, drop_path: 0.2}"
SIDE = 32  # of the images of the families: T2T-ViT has four patches there
UNSMOOTHED = [name for name in LOSSES if name != "bce"]  # which takes no label smoothing
WITH_TERMS = [name for name, loss in LOSSES.items() if any(term.sees == "patches" for term in loss.terms)]


@pytest.fixture
def cells(write_grid: Write) -> dict[str, list[Trial]]:
    """The trials of each loss, of two seeds, with dropout and boxes of whole patches."""
    path = write_grid(
        ("lr: 1e-3,", f"lr: 1e-3, {MIXES}"),
        ("mlp_ratio: 1}", NOISE),
        ("join: [default, lape]", f"join: [lape]\n  loss: [{', '.join(UNSMOOTHED)}]"),
    )
    found: dict[str, list[Trial]] = {}
    for trial in load_grid(path).expand().trials:
        found.setdefault(trial.loss, []).append(trial)
    return found


def learner_of(family: str, loss: str) -> Learner:
    made = Learner(
        build(family, "learnable", "lape", image_size=SIDE), LOSSES[loss], recipe(cutmix=1.0, cutmix_grid=16), classes=5
    )
    made.initialise(7)
    return made


FITTING = [
    (family, loss)
    for family in TRANSFORMERS
    for loss in WITH_TERMS
    if not LOSSES[loss].refuses(
        Cell(resolve_architecture(family, SIZES[family]), SIDE, {}, recipe(cutmix=1.0, cutmix_grid=16))
    )
]


@pytest.mark.parametrize(("family", "loss"), FITTING)
def test_every_loss_trains_every_family_that_it_fits(family: str, loss: str) -> None:
    """The conformance test of the axis: it walks both registries."""
    learner, chosen = learner_of(family, loss).train(), recipe(cutmix=1.0, cutmix_grid=16, label_smoothing=0.1)
    images, labels = torch.randn(4, 3, SIDE, SIDE), torch.tensor([0, 1, 2, 3])
    boxes = torch.tensor([[0], [16], [0], [16]]).expand(4, 4)
    target = learner.target(Target.of(labels, torch.zeros(4, 1)), boxes, torch.Generator())
    found = Objective(chosen, loss=LOSSES[loss])(learner(images, target.own, target.kept), target, images)
    found.backward()  # type: ignore[no-untyped-call]
    assert torch.isfinite(found)
    for name, parameter in learner.named_parameters():
        learns = parameter.requires_grad and "distillation_head" not in name  # there is no teacher
        assert (parameter.grad is not None) == learns, name
        assert parameter.grad is None or torch.isfinite(parameter.grad).all(), name
    assert (learner.classifier is not None) == any(term.classifies for term in LOSSES[loss].terms)

    learner.eval()
    with torch.no_grad():
        assert torch.equal(learner(images), learner.model(images))
        with torch.autocast("cpu", dtype=torch.bfloat16):
            learner.train()
            rough = Objective(chosen, loss=LOSSES[loss])(learner(images, target.own, target.kept), target, images)
    assert rough.dtype == torch.float32


@pytest.mark.parametrize("family", TRANSFORMERS)
def test_tokens_are_those_of_the_patches_and_cost_nothing_unwatched(family: str) -> None:
    model = build(family, "learnable", "lape", image_size=SIDE).eval()
    size = model.architecture.size
    assert isinstance(size, Size)
    grids, blocks = size.stage_grids(SIDE), sum(size.depths())
    seen: list[Any] = []
    for name, module in model.named_modules():
        if name.startswith(("blocks.", "stages.")) and hasattr(module, "norm1") and hasattr(module, "attention"):
            module.register_forward_hook(lambda _, __, output: seen.append(output))
    with torch.no_grad():
        images = torch.randn(2, 3, SIDE, SIDE)
        plain = model(images)
        seen.clear()
        logits, tokens = model(images, range(blocks))
    assert torch.equal(plain, logits)
    assert isinstance(tokens, Tokens)
    assert len(tokens.blocks) == len(seen) == blocks
    counts = [grid[0] * grid[1] for grid, depth in zip(grids, size.depths(), strict=True) for _ in range(depth)]
    for count, watched, whole in zip(counts, tokens.blocks, seen, strict=True):
        assert watched.shape[:2] == (2, count)
        assert torch.equal(watched, whole[:, -count:])
    assert tokens.embedded.shape[1] == counts[0]
    torch.testing.assert_close(tokens.normalised, model.norm(tokens.blocks[-1]))
    with torch.no_grad():
        moved = [table.normal_() for position in model.positions() for table in position.tables]
        _, again = model(images, (0, -1))
    assert moved
    assert torch.equal(again.embedded, tokens.embedded)  # before any position
    assert not torch.allclose(again.blocks[0], tokens.blocks[0])


def attempt(trials: Sequence[Trial], data_folder: Path) -> Attempt:
    images = (load_images(trials[0].dataset, split, data_folder) for split in ("train", "test"))
    return Attempt(trials, Machine(data_folder, "cpu"), torch.device("cpu"), *images)


@pytest.mark.parametrize("loss", WITH_TERMS)
def test_pairs_start_alike_and_the_classifier_is_not_the_models(
    cells: dict[str, list[Trial]], data_folder: Path, loss: str
) -> None:
    made = {name: attempt(cells[name][:1], data_folder) for name in ("default", loss)}
    trainers = {name: part.trainer() for name, part in made.items()}
    starts = {}
    for name, trainer in trainers.items():
        (model,) = trainer.models()
        assert type(model).__name__ == "ViTLite"
        starts[name] = model.state_dict()
    assert starts["default"].keys() == starts[loss].keys()
    assert all(torch.equal(value, starts[loss][name]) for name, value in starts["default"].items())
    assert made["default"].params == made[loss].params == count_parameters(build_model(cells[loss][0].model)).total
    assert made["default"].macs == made[loss].macs


@pytest.mark.parametrize("loss", WITH_TERMS)
def test_pairs_see_the_same_batches_and_the_same_dropout(
    cells: dict[str, list[Trial]], data_folder: Path, loss: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a loss whose terms are zero, the whole training is the default's, to the bit."""

    def nothing(code: str) -> Callable[..., Tensor]:
        return lambda seen, target, smoothing: torch.zeros(())

    expected = losses_of_steps(cells["default"][:1], data_folder, 2)
    monkeypatch.setattr("suite.train.losses.objective._function", nothing)
    assert torch.equal(losses_of_steps(cells[loss][:1], data_folder, 2), expected)


@pytest.mark.parametrize("loss", ["diversepatch", "diverse_cosine_v1", "diversepatch_release"])
def test_a_loss_trains_and_repeats_bit_for_bit(cells: dict[str, list[Trial]], machine: Machine, loss: str) -> None:
    ((record, model),) = train_trials(cells[loss][:1], machine)
    assert (record.status, record.error) == ("done", None)
    assert lasting(run_trial(cells[loss][0], machine)) == lasting(record)
    default = run_trial(cells["default"][0], machine)
    assert record.history != default.history
    assert model is not None
    assert model.state_dict().keys() == build_model(cells[loss][0].model).state_dict().keys()


@pytest.mark.parametrize("loss", ["diversepatch", "diversepatch_release"])
def test_a_training_goes_on_from_its_snapshot(
    cells: dict[str, list[Trial]], machine: Machine, tmp_path: Path, loss: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    trials = cells[loss][:1]
    (whole,) = (record for record, _ in train_trials(trials, machine))
    (again,) = stopped(trials, machine, Folder(tmp_path / "kept"), 3, monkeypatch)
    assert lasting(again) == lasting(whole)


@pytest.mark.parametrize("loss", WITH_TERMS)
def test_stacked_seeds_have_the_losses_of_seeds_alone(
    cells: dict[str, list[Trial]], data_folder: Path, loss: str
) -> None:
    together = losses_of_steps(cells[loss], data_folder, 2)
    for number, trial in enumerate(cells[loss]):
        alone = losses_of_steps([trial], data_folder, 2)[:, 0]
        torch.testing.assert_close(together[:, number], alone, rtol=1e-4, atol=0)


def test_a_stack_ends_in_plain_models(
    cells: dict[str, list[Trial]], machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(entrance, "_stacks", lambda trials, machine: True)
    trials = cells["diversepatch"]
    together, alone = train_trials(trials, machine), [train_trials([trial], machine)[0] for trial in trials]
    for (record, model), (expected, other) in zip(together, alone, strict=True):
        assert (record.status, record.environment.stacked) == ("done", 2)
        assert record.test_loss == pytest.approx(expected.test_loss, rel=1e-3)
        assert model is not None
        assert other is not None
        for name, value in model.state_dict().items():
            torch.testing.assert_close(value, other.state_dict()[name], atol=1e-4, rtol=1e-3)


@pytest.mark.parametrize("loss", WITH_TERMS)
def test_a_batch_in_shares_has_the_gradients_of_the_whole(loss: str) -> None:
    images, labels, chosen = torch.randn(12, 3, 16, 16), torch.arange(12) % 5, recipe(label_smoothing=0.1)
    boxes = torch.stack([torch.zeros(12), torch.full((12,), 8), torch.zeros(12), torch.arange(12) % 3 * 8]).long()
    found = {}
    for name in ("whole", "split"):
        learner = Learner(
            build("cvt", "learnable", "lape", attn_drop=0.0, drop_path=0.0), LOSSES[loss], chosen, classes=5
        )
        learner.initialise(7)
        learner.train()
        target = learner.target(Target.of(labels, torch.rand(12, 1)), boxes, torch.Generator().manual_seed(1))
        target = target._replace(share=torch.linspace(0, 1, 12)[:, None])
        objective = Objective(chosen, loss=LOSSES[loss])

        def loss_of(model: Any, part: slice, target: Target = target, objective: Objective = objective) -> Tensor:
            own = target.take(part)
            return objective(model(images[part], own.own, own.kept), own, images[part])

        if name == "whole":
            value = loss_of(learner, slice(0, 12))
            value.backward()  # type: ignore[no-untyped-call]
        else:
            value = Split(learner, 2, 4).gradients(loss_of, 12)
        found[name] = [value.detach(), *(parameter.grad for parameter in learner.parameters())]
    torch.testing.assert_close(found["split"], found["whole"], rtol=1e-3, atol=1e-6)


def test_shares_are_as_many_as_the_defaults(cells: dict[str, list[Trial]], machine: Machine) -> None:
    """So both sides have the same masks of dropout on two threads, too."""
    two = replace(machine, threads=2)
    record = run_trial(cells["diversepatch"][0], two)
    assert record.status == "done", record.error
    assert lasting(run_trial(cells["diversepatch"][0], two)) == lasting(record)


def test_terms_are_added_to_what_a_teacher_says_by_their_weights() -> None:
    taught = {"distillation": "hard", "teacher": "test_resnet", "teacher_sha256": "0" * 64}
    chosen = recipe(cutmix=1.0, cutmix_grid=16, cosine_weight=0.25, contrastive_weight=0.0, mixing_weight=2.0, **taught)
    learner = Learner(build("deit_distilled", "learnable", "lape", image_size=SIDE, drop_path=0.0, attn_drop=0.0),
                      LOSSES["diversepatch"], chosen, classes=5)  # fmt: skip
    learner.initialise(7)
    learner.train()
    images, labels = torch.randn(4, 3, SIDE, SIDE), torch.tensor([0, 1, 2, 3])
    target = learner.target(Target.of(labels, torch.ones(4, 1)), None, torch.Generator())
    teacher = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(3 * SIDE**2, 5)).eval()
    (heads, seen), task = learner(images, target.own), Objective(chosen, teacher)
    found = Objective(chosen, teacher, LOSSES["diversepatch"])((heads, seen), target, images)
    terms = 0.25 * cosine(Seen(*seen), target, 0.0) + 2 * mixing(Seen(*seen), target, 0.0)
    torch.testing.assert_close(found, task(heads, target, images) + terms)
