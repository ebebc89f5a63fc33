"""Tensors on their way to a GPU, as far as a CPU can tell."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from suite.data.transfer import to_device


def test_what_is_seen_in_many_places_is_pinned_as_a_copy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each number has a place of its own, or torch refuses to pin it."""
    sent: list[Tensor] = []

    def pin(self: Tensor) -> Tensor:
        assert self.is_contiguous()
        return self

    def send(self: Tensor, device: torch.device, non_blocking: bool = False) -> Tensor:
        assert non_blocking
        sent.append(self)
        return self

    monkeypatch.setattr(Tensor, "pin_memory", pin)
    monkeypatch.setattr(Tensor, "to", send)
    share = torch.tensor([0.5]).expand(4)[:, None]
    assert to_device(share, torch.device("cuda")).tolist() == [[0.5]] * 4
    assert len(sent) == 1


def test_a_cpu_gets_the_tensor_itself() -> None:
    share = torch.tensor([0.5]).expand(4)
    assert to_device(share, torch.device("cpu")) is share
