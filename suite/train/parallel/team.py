"""Communication between the processes that train one trial together."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, distributed


@dataclass(frozen=True)
class Team:
    """The processes that train one trial together. Each takes a part of every batch, and all have the same weights.

    All processes must call each method at the same point of the training run.

    Args:
        rank: The number of this process, from 0. Process 0 is the leader.
        size: Number of processes.
        beat: To be called often: tells the supervising process that this one is alive.
        tell: Sends a message to the supervising process.
    """

    rank: int = 0
    size: int = 1
    beat: Callable[[], None] = lambda: None
    tell: Callable[[bytes], None] = lambda news: None

    @property
    def leads(self) -> bool:
        """Whether this process is the leader, which writes the results of all."""
        return self.rank == 0

    def add(self, tensors: Sequence[Tensor]) -> None:
        """Replace each tensor by its sum over all processes, in place. The result is bit-identical in all of them.

        The tensors must have the same type and device.
        """
        if self.size > 1:
            flat = torch.cat([tensor.reshape(-1) for tensor in tensors])
            distributed.all_reduce(flat)
            for tensor, found in zip(tensors, flat.split([tensor.numel() for tensor in tensors]), strict=True):
                tensor.copy_(found.view_as(tensor))

    def largest(self, value: float) -> float:
        """The maximum of the values over all processes."""
        if self.size == 1:
            return value
        found = torch.tensor(value, dtype=torch.float64)
        distributed.all_reduce(found, distributed.ReduceOp.MAX)
        return found.item()

    def from_leader(self, content: bytes = b"") -> bytes:
        """Broadcast bytes: every process gets the `content` that the leader passed."""
        if self.size == 1:
            return content
        length = torch.tensor(len(content))
        distributed.broadcast(length, 0)
        held = torch.frombuffer(bytearray(content or bytes(int(length))), dtype=torch.uint8) if length else None
        if held is None:
            return b""
        distributed.broadcast(held, 0)
        return held.numpy().tobytes()


ALONE = Team()
