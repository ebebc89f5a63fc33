"""A batch in shares: the same gradients, and the same in every run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from suite.bench.trainer import make_trainer
from suite.grid.grid import load_grid
from suite.models import create_model
from suite.models.build import plain_sibling
from suite.models.model_cell import ModelCell, Shape
from suite.models.norms import NORMS
from suite.train.augmentation.pipeline import Normalise
from suite.train.losses.objective import Objective
from suite.train.losses.target import Target
from suite.train.machine import Machine
from suite.train.steps import shares
from suite.train.steps.cuda_graph import Recorded
from suite.train.steps.precision import SINGLE, Precision
from suite.train.steps.shares import Forward, Split, choose_shares, held_for_backward, splittable
from suite.train.trials import run_trial
from tests.records import lasting
from tests.train.losses.test_objective import recipe

Write = Callable[..., Path]

BFLOAT16 = Precision("bf16", torch.bfloat16)


def model(**changes: float) -> nn.Module:
    torch.manual_seed(0)
    return create_model(
        "vit_lite",
        num_classes=7,
        image_size=8,
        patch_size=4,
        embed_dim=16,
        depth=2,
        num_heads=2,
        mlp_ratio=2.0,
        attn_drop=changes.get("attn_drop", 0.0),
        drop_path=changes.get("drop_path", 0.0),
    ).train()


@pytest.mark.parametrize("size", [12, 13])
@pytest.mark.parametrize("mixed", [False, True])
def test_the_gradients_are_those_of_the_whole_batch(size: int, mixed: bool) -> None:
    images, labels = torch.randn(size, 3, 8, 8), torch.arange(size) % 7
    target = Target.of(labels, torch.rand(size, 1) if mixed else None)
    objective = Objective(recipe(label_smoothing=0.1))
    whole, split = model(), model()
    expected = objective(whole(images), target, images)
    expected.backward()
    found = Split(split, 2, 4).gradients(
        lambda model, part: objective(model(images[part]), target.take(part), images[part]), size
    )
    assert found.item() == pytest.approx(expected.item(), rel=1e-6)
    for ours, theirs in zip(split.parameters(), whole.parameters(), strict=True):
        assert (ours.grad is None) == (theirs.grad is None)
        if ours.grad is not None and theirs.grad is not None:
            assert torch.allclose(ours.grad, theirs.grad, rtol=1e-4, atol=1e-7)


def test_the_shares_drop_out_by_seeds_of_their_own() -> None:
    images = torch.randn(1, 3, 8, 8).expand(8, -1, -1, -1)
    split, seen = Split(model(attn_drop=0.3, drop_path=0.3), 1, 2), list[Tensor]()
    for seed in (1, 1, 2):
        split.seed(seed)
        outputs: dict[int, Tensor] = {}

        def loss_of(model: nn.Module, part: slice, outputs: dict[int, Tensor] = outputs) -> Tensor:
            outputs[part.start] = model(images[part])
            return outputs[part.start].sum()

        split.gradients(loss_of, 8)
        seen.append(torch.cat([outputs[0], outputs[4]]).detach())
    assert torch.equal(seen[0], seen[1])
    assert not torch.equal(seen[0], seen[2])
    assert not torch.equal(seen[0][:4], seen[0][4:])


def test_a_trial_on_two_threads_repeats_bit_for_bit_and_learns_the_same(write_grid: Write, machine: Machine) -> None:
    path = write_grid(("mlp_ratio: 1}", "mlp_ratio: 1, attn_drop: 0.2, drop_path: 0.2}"))
    trial = load_grid(path).expand().trials[1]
    two = replace(machine, threads=2)
    first = run_trial(trial, two)
    assert first.status == "done", first.error
    assert lasting(run_trial(trial, two)) == lasting(first)
    one = run_trial(trial, machine)
    assert one.history is not None
    assert first.history is not None
    assert first.history[0].train_loss == pytest.approx(one.history[0].train_loss, rel=0.02)


def test_shares_in_bfloat16_have_the_gradients_of_float32_but_for_rounding() -> None:
    """With all that is spared: attention of its own, dropped branches, one token in the last block."""
    images, labels = torch.randn(12, 3, 8, 8), torch.arange(12) % 7
    objective, found = Objective(recipe()), dict[str, Tensor]()
    for precision in (SINGLE, BFLOAT16):
        net = model(attn_drop=0.3, drop_path=0.4)
        split = Split(net, 2, 4)
        split.seed(3)

        def loss(net: Forward, part: slice, precision: Precision = precision) -> Tensor:
            with precision.autocast(torch.device("cpu")):
                return objective(net(images[part]), Target.of(labels, None).take(part), images[part])

        split.gradients(loss, 12)
        found[precision.name] = torch.cat(
            [parameter.grad.flatten() for parameter in net.parameters() if parameter.grad is not None]
        )
    difference = (found["bf16"] - found["fp32"]).norm() / found["fp32"].norm()
    assert 0 < difference < 0.03


def test_what_is_held_for_the_backward_pass() -> None:
    """A linear layer holds its input, GELU its own, a ViT more with more dropout; torch's generator is left alone."""
    layers = nn.Sequential(nn.Flatten(), nn.Linear(12, 5), nn.GELU(), nn.Linear(5, 2))
    assert held_for_backward(layers, (3, 2, 2)) in (4 * (12 + 5 + 5), 4 * (12 + 5 + 5 + 2))
    dropped, plain = model(attn_drop=0.1), model()
    before = torch.get_rng_state()
    assert held_for_backward(dropped, (3, 8, 8)) > held_for_backward(plain, (3, 8, 8)) > 4 * 4 * 16
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize(
    ("threads", "held", "batch", "expected"),
    [
        (1, 0, 12, 1),
        (2, 0, 12, 2),
        (1, 4, 12, 2),
        (1, 7, 12, 3),
        (2, 4, 12, 2),
        (2, 7, 12, 4),
        (1, 99, 12, 12),
        (1, 99, 13, 13),
        (2, 99, 13, 13),
    ],
)
def test_as_few_shares_as_hold_little_enough(
    threads: int, held: int, batch: int, expected: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """held: by an image, where a thread may hold 28."""
    monkeypatch.setattr(shares, "held_for_backward", lambda model, shape, precision: held * 1000)
    monkeypatch.setattr(shares, "HELD", 28_000)
    assert choose_shares(model(), (3, 8, 8), batch, threads) == expected


def test_in_bfloat16_a_micro_batch_may_be_larger(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shares, "held_for_backward", lambda model, shape, precision: 8 * 2**20)
    single, bfloat16 = (choose_shares(model(), (3, 8, 8), 96, 2, one) for one in (SINGLE, BFLOAT16))
    assert (single, bfloat16) == (8, 4)  # of 12 and 24 images: 96 and 192 MiB
    assert choose_shares(model(), (3, 8, 8), 33, 1, BFLOAT16) == 2  # 32 images, 256 MiB, are the most


@pytest.mark.parametrize(
    ("pe", "join", "norm"), [("learnable", "lape", "ln"), ("sin1d", "lape", "ln"), ("learnable", "default", "dtn")]
)
def test_all_sides_of_a_contrast_have_as_many_shares(
    pe: str, join: str, norm: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And so the same masks of dropout, where one side holds a little more than a thread may."""
    size = {"patch_size": 2, "embed_dim": 16, "depth": 4, "num_heads": 4, "mlp_ratio": 2.0, "attn_drop": 0.1}
    net = create_model("vit_late", pe=pe, join=join, norm=norm, num_classes=7, image_size=8, **size)
    held = held_for_backward(plain_sibling(net), (3, 8, 8))
    assert held_for_backward(net, (3, 8, 8)) > held
    monkeypatch.setattr(shares, "HELD", 6 * held)
    cell = ModelCell(net.architecture, pe, join, norm, Shape(7, 8, 3))
    normalise = Normalise((0.5,) * 3, (0.5,) * 3, torch.device("cpu"))
    trainer = make_trainer(cell, recipe(batch_size=12), normalise, torch.device("cpu"), shape=(3, 8, 8))
    assert trainer.images_at_once == 6


@pytest.mark.parametrize("norm", [name for name, norm in NORMS.items() if norm.tokens])
def test_what_is_split_has_no_statistics_over_the_batch(norm: str) -> None:
    """Of every norm: halves of a batch, if they may be taken apart, have the outputs that they have together."""
    torch.manual_seed(0)
    net = create_model(
        "vit_lite", norm=norm, num_classes=7, image_size=8, patch_size=4, embed_dim=16, depth=3, num_heads=4,
        mlp_ratio=2.0, attn_drop=0.0, drop_path=0.0,
    ).train()  # fmt: skip
    images = torch.randn(6, 3, 8, 8) * torch.arange(1, 7).view(-1, 1, 1, 1)
    halves = torch.cat([net(images[:3]), net(images[3:])])
    assert torch.allclose(net(images), halves, atol=1e-5) == splittable(net)


def test_the_norms_of_convolutional_networks_are_not_split() -> None:
    assert not splittable(create_model("resnet20", pe="none", norm="bn", num_classes=7, image_size=8))


def test_a_step_sees_tensors_laid_out_alike_before_it_is_recorded_and_after(monkeypatch: pytest.MonkeyPatch) -> None:
    """While it is recorded, a compiler must not find other strides than before, and compile anew."""
    seen = list[tuple[tuple[int, ...], list[int]]]()

    def step(labels: Tensor, none: None) -> Tensor:
        seen.append((labels.stride(), labels.flatten().tolist()))
        return labels.sum()

    monkeypatch.setattr(Recorded, "_aside", lambda self: self._step(*self._held))
    monkeypatch.setattr(Recorded, "_record", lambda self: self._step(*self._held))
    run, labels = Recorded(step, pytest.fail), torch.arange(12).view(2, 6)
    for number in range(Recorded.WARM_UP):
        assert run(labels[:, number : number + 2], None) == labels[:, number : number + 2].sum()
    run(labels[:, 4:], None)
    assert [values for _, values in seen] == [[0, 1, 6, 7], [1, 2, 7, 8], [2, 3, 8, 9], [4, 5, 10, 11], [4, 5, 10, 11]]
    assert {strides for strides, _ in seen[:-1]} == {(2, 1)}


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")
def test_a_step_that_waits_is_not_recorded_and_runs_all_the_same() -> None:
    said: list[str] = []

    def draw(x: Tensor) -> Tensor:
        return x * float(torch.rand((), device="cuda").item())

    run = Recorded(draw, said.append)
    drawn = [run(torch.ones(3, device="cuda")).tolist() for _ in range(8)]
    assert len({tuple(one) for one in drawn}) == 8
    (told,) = said
    assert "can't be recorded as a CUDA graph" in told


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")
def test_recorded_steps_are_those_that_are_not() -> None:
    """Two models on a GPU, one with recorded steps: the same losses to the tolerance of the GPU's own noise."""
    losses: list[list[float]] = []
    for record in (False, True):
        net = model().cuda()
        optimiser = torch.optim.AdamW(
            net.parameters(), lr=torch.tensor(1e-3, device="cuda"), fused=True, capturable=True
        )

        def one(
            images: Tensor, labels: Tensor, net: nn.Module = net, optimiser: torch.optim.AdamW = optimiser
        ) -> Tensor:
            optimiser.zero_grad(set_to_none=True)
            loss = nn.functional.cross_entropy(net(images), labels)
            loss.backward()
            optimiser.step()
            return loss.detach()

        run = Recorded(one, pytest.fail) if record else one
        generator = torch.Generator().manual_seed(1)
        found = []
        for _ in range(20):
            images = torch.randn(16, 3, 8, 8, generator=generator).cuda()
            found.append(run(images, torch.arange(16).cuda() % 7).item())
        losses.append(found)
    assert losses[0] == pytest.approx(losses[1], rel=1e-4)
