"""The cross entropy in pieces is torch's, and so are its gradients, however many pieces there are."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, linear

from suite.train.losses import patch_labels
from suite.train.losses.diversity import Seen, mixing
from suite.train.losses.patch_labels import PatchCrossEntropy
from suite.train.losses.target import Target


def drawn(patches: int, width: int, classes: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    h, weight, bias = (
        torch.randn(*shape, dtype=torch.float64, generator=generator).requires_grad_()
        for shape in ((patches, width), (classes, width), (classes,))
    )
    return h, weight, bias, torch.randint(classes, (patches,), generator=generator)


@pytest.mark.parametrize("piece", [1, 14, 35, 10**6])
def test_it_is_the_cross_entropy_of_all_patches(piece: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patch_labels, "PIECE", piece)
    h, weight, bias, labels = drawn(11, 5, 7)
    expected = cross_entropy(linear(h, weight, bias), labels)
    found = PatchCrossEntropy.apply(h, weight, bias, labels)
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=0)
    for ours, plain in zip(
        *(torch.autograd.grad(3 * loss, (h, weight, bias)) for loss in (found, expected)), strict=True
    ):
        torch.testing.assert_close(ours, plain, rtol=1e-12, atol=1e-14)


def test_patches_are_told_apart_as_by_all_their_logits() -> None:
    h, weight, bias, labels = drawn(12, 5, 7)
    patches, own = h.view(3, 4, 5), torch.rand(3, 4) < 0.5
    target = Target.of(labels[:3], own.double().mean(1, keepdim=True), own)
    pieced = mixing(Seen(h, h, patches, h, None, weight, bias), target, 0.0)
    torch.testing.assert_close(pieced, mixing(Seen(h, h, patches, h, linear(patches, weight, bias)), target, 0.0))


def test_its_gradients_are_those_of_small_differences() -> None:
    h, weight, bias, labels = drawn(6, 3, 4)
    assert torch.autograd.gradcheck(PatchCrossEntropy.apply, (h, weight, bias, labels))


def test_a_label_that_seems_impossible_has_a_finite_loss() -> None:
    h, weight, bias = torch.tensor([[1.0]]), torch.tensor([[0.0], [500.0]]), torch.zeros(2)
    loss = PatchCrossEntropy.apply(h.requires_grad_(), weight, bias, torch.tensor([0]))
    assert loss.item() == pytest.approx(500)
    loss.backward()
    assert h.grad is not None
    assert h.grad.item() == pytest.approx(500)
