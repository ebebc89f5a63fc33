"""The processes that train one trial together: what they tell each other."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, distributed


@dataclass(frozen=True)
class Team:
    """Processes that train one trial together: each takes a part of every batch, and all hold the same weights.

    rank: of this one, from 0; the first one leads. beat: is called again and again, to show that this one is alive.
    tell: takes news to the process that watches them all. What a method does with several processes, all of them must
    call at the same point.
    """

    rank: int = 0
    size: int = 1
    beat: Callable[[], None] = lambda: None
    tell: Callable[[bytes], None] = lambda news: None

    @property
    def leads(self) -> bool:
        """Whether this process is the first, which writes what all have found."""
        return self.rank == 0

    def add(self, tensors: Sequence[Tensor]) -> None:
        """Make each tensor its sum over all processes, in place: the same bits in each. All of one type and device."""
        if self.size > 1:
            flat = torch.cat([tensor.reshape(-1) for tensor in tensors])
            distributed.all_reduce(flat)
            for tensor, found in zip(tensors, flat.split([tensor.numel() for tensor in tensors]), strict=True):
                tensor.copy_(found.view_as(tensor))

    def largest(self, value: float) -> float:
        """The largest of all processes' values."""
        if self.size == 1:
            return value
        found = torch.tensor(value, dtype=torch.float64)
        distributed.all_reduce(found, distributed.ReduceOp.MAX)
        return found.item()

    def from_leader(self, content: bytes = b"") -> bytes:
        """What the leader calls this with."""
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
