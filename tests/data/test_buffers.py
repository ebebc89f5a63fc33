"""Memory that is handed out again."""

from __future__ import annotations

import sys
import time
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import pytest
import torch

from suite.data import buffers
from suite.data.buffers import Buffers


def test_memory_is_used_again_only_when_no_view_of_it_is_left() -> None:
    buffers = Buffers()
    first = buffers.empty((2, 3), torch.float32)
    assert (first.shape, first.dtype, first.is_contiguous()) == ((2, 3), torch.float32, True)
    place, view = first.data_ptr(), first[1:, 1:]
    del first
    second = buffers.empty((2, 3), torch.float32)
    assert second.data_ptr() != place
    view.fill_(7)
    second.fill_(1)
    assert view.tolist() == [[7, 7]]
    del view
    assert buffers.empty((6,), torch.int32).data_ptr() == place


def test_a_graph_keeps_its_inputs() -> None:
    """Autograd holds the tensor until the backward pass, even if nobody else does."""
    buffers, weight = Buffers(), torch.ones(4, requires_grad=True)
    inputs = buffers.empty((4,), torch.float32).fill_(3)
    loss = (inputs * weight).sum()
    del inputs
    buffers.empty((4,), torch.float32).fill_(9)
    loss.backward()
    assert weight.grad is not None
    assert weight.grad.tolist() == [3, 3, 3, 3]


def test_unused_memory_of_another_size_is_given_up() -> None:
    buffers = Buffers()
    kept = buffers.empty((8,), torch.uint8)
    buffers.empty((16,), torch.uint8)
    buffers.empty((32,), torch.uint8)
    assert [array.nbytes for array in buffers._arrays] == [8, 32]
    kept.fill_(0)


def test_threads_never_get_the_same_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """Test batches are read and normalised on several threads. Each counts the references, and then waits a moment."""
    made = Buffers()
    place = made.empty((64,), torch.uint8).data_ptr()

    def slow(array: object) -> int:
        count = sys.getrefcount(array) - 1  # without the reference of this function
        del array
        time.sleep(0.05)
        return count

    monkeypatch.setattr(buffers, "sys", SimpleNamespace(getrefcount=slow))
    with ThreadPoolExecutor(2) as pool:
        first, second = pool.map(lambda _: made.empty((64,), torch.uint8), range(2))
    assert first.data_ptr() == place
    assert second.data_ptr() != place
