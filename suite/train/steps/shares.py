"""Micro-batches: a step on parts of its batch, one part on each CPU thread, or one after another."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from itertools import accumulate
from typing import TypeVar

import torch
from torch import Tensor, nn

from suite.models.layers.dropout import masks_from
from suite.models.layers.sparing import sparing
from suite.train.losses.objective import Output
from suite.train.parallel.team import ALONE, Team
from suite.train.steps.memory import share_arena
from suite.train.steps.precision import SINGLE, Precision

Item = TypeVar("Item")
Result = TypeVar("Result")
HELD = 96 * 2**20  # bytes for the backward pass at a time, of each thread: more is hardly faster
Forward = Callable[[Tensor], Output]  # a model, or what was made of it
LossOf = Callable[[Forward, slice], Tensor]  # the mean loss of a share of the batch, by a model


class Split:
    """A batch in micro-batches: each CPU thread takes some of them, one after another; on a GPU one thread takes all.

    An operator that runs on several threads waits for the last of them, and so does the next operator. Threads with
    micro-batches of their own wait for each other once per step. And the backward pass holds activations of as many
    micro-batches as there are threads, not of the whole batch. The result is that of the whole batch but for rounding
    and the dropout masks. It is the same in every run with as many threads and micro-batches.

    Dropout masks: on a CPU each micro-batch has a generator of its own. On a GPU, whose fused attention uses torch's
    generator alone, and in compiled models, the micro-batches of a process draw from torch's, one after another.

    Several processes count as so many times the threads: each takes some micro-batches, and their gradients are added.
    """

    def __init__(
        self, model: nn.Module, threads: int, shares: int, forward: Forward | None = None, team: Team = ALONE
    ) -> None:
        """model: in training mode, without statistics over the batch (see `splittable`). forward: what to call in
        its place, by one thread, with torch's own generator: on a GPU, or compiled.
        """
        self._model, self._shares, self._team, self._named = model, shares, team, forward is None
        self._forwards: list[Forward] = [forward or model]
        self._twins = [_twin(model) for _ in range(threads - 1)]
        self._forwards += self._twins
        if self._named:
            share_arena()
            self.generators = [torch.Generator() for _ in range(shares)]
        elif team.size > 1:
            own = torchs_own(next(model.parameters()).device)
            self.generators = [own if rank == team.rank else torch.Generator(own.device) for rank in range(team.size)]
        else:
            self.generators = []  # torch's own, which whoever trains begins anew
        self._pool = ThreadPoolExecutor(threads, "share", _one_thread)

    def at_once(self, size: int) -> int:
        """Images of a forward and backward pass, at most, in a batch of `size`."""
        return math.ceil(size / self._shares)

    def seed(self, seed: int) -> None:
        """Seed the dropout masks."""
        for number, generator in enumerate(self.generators):
            generator.manual_seed((seed + number) % 2**63)

    def gather(self) -> None:
        """Bring the generators of all processes to the state that they have where they are used."""
        if self._team.size == 1:
            return
        own = self._own if self._named else [self._team.rank]
        states = [generator.get_state() for generator in self.generators]
        for number, state in enumerate(states):
            if number not in own:
                state.zero_()
        self._team.add(states)
        for generator, state in zip(self.generators, states, strict=True):
            generator.set_state(state)

    def images(self, size: int) -> Tensor | None:
        """The places in a batch of `size` images whose gradients this process computes, ascending; None: all."""
        if self._team.size == 1:
            return None
        bounds = self._bounds(size)
        return torch.cat([torch.arange(bounds[share], bounds[share + 1]) for share in self._own])

    @property
    def _own(self) -> list[int]:
        """The shares of this process: each thread of each process takes every so many-th."""
        threads, rank = len(self._forwards), self._team.rank
        workers = threads * self._team.size
        return [share for share in range(self._shares) if share % workers // threads == rank]

    def _bounds(self, size: int) -> list[int]:
        return [size * share // self._shares for share in range(self._shares + 1)]

    def gradients(self, loss_of: LossOf, size: int, scaled: Callable[[Tensor], Tensor] = lambda loss: loss) -> Tensor:
        """Add the gradients of the mean loss of `size` images to the model's; returns the loss, a scalar.

        loss_of: gets the place of a share among this process's `images`. scaled: makes of a loss what is derived.
        """
        threads, bounds, own = len(self._forwards), self._bounds(size), self._own
        ends = list(accumulate((bounds[share + 1] - bounds[share] for share in own), initial=0))

        def work(thread: int) -> list[Tensor]:
            losses = []
            for place in range(thread, len(own), threads):
                first, end = ends[place], ends[place + 1]
                with torch.enable_grad(), self._masks(own[place]):
                    loss = loss_of(self._forwards[thread], slice(first, end)) * ((end - first) / size)
                    scaled(loss).backward()
                losses.append(loss.detach())
                self._team.beat()
            return losses

        losses = [loss for found in self.map(work, range(threads)) for loss in found]
        for twin in self._twins:
            for parameter, other in zip(self._model.parameters(), twin.parameters(), strict=True):
                if other.grad is not None:
                    parameter.grad = other.grad if parameter.grad is None else parameter.grad.add_(other.grad)
                    other.grad = None
        loss = torch.stack(losses).sum()
        if self._team.size > 1:
            gradients = [parameter.grad for parameter in self._model.parameters() if parameter.grad is not None]
            self._team.add([*gradients, loss])
        return loss

    def _masks(self, share: int) -> AbstractContextManager[None]:
        return masks_from([self.generators[share]]) if self._named else nullcontext()

    def map(self, function: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result]:
        """The function of each item, in their order, as many at a time as there are threads; on a CPU, sparing."""

        def one(item: Item) -> Result:
            with sparing() if self._named else nullcontext():
                return function(item)

        return map(one, items) if len(self._forwards) == 1 else self._pool.map(one, items)


def torchs_own(device: torch.device) -> torch.Generator:
    """Torch's default generator of this device."""
    if device.type == "cpu":
        return torch.default_generator
    return torch.cuda.default_generators[torch.cuda.current_device() if device.index is None else device.index]


def micro_batches(batch: int, most: int | None, workers: int) -> int:
    """Into how many micro-batches to split a batch so that none exceeds `most` images; a multiple of `workers`."""
    return 1 if most is None else min(batch, workers * math.ceil(math.ceil(batch / most) / workers))


def choose_shares(
    model: nn.Module, shape: Sequence[int], batch: int, threads: int, precision: Precision = SINGLE
) -> int:
    """Into how many micro-batches to split a batch on a CPU: the fewest, as many for every thread, that fit in memory.

    shape: of an image, [C, H, W]. It depends on the model alone, not on the machine's memory: results must not.
    """
    most = max(1, HELD // max(1, held_for_backward(model, shape, precision)))  # images
    return micro_batches(batch, most, threads)


def held_for_backward(model: nn.Module, shape: Sequence[int], precision: Precision = SINGLE) -> int:
    """The bytes that a training step holds for its backward pass, for each image: of one with two images."""
    tried, held = copy.deepcopy(model).train(), dict[int, Tensor]()

    def note(tensor: Tensor) -> Tensor:
        held[tensor.untyped_storage().data_ptr()] = tensor
        return tensor

    hooks = torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor)
    with torch.random.fork_rng([]), hooks, sparing(), precision.autocast(torch.device("cpu")):
        out = tried(torch.zeros(2, *shape))
    weights = {parameter.untyped_storage().data_ptr() for parameter in tried.parameters()}
    total = sum(tensor.untyped_storage().nbytes() for key, tensor in held.items() if key not in weights)
    del out  # it kept what was held alive
    return total // 2


def splittable(model: nn.Module) -> bool:
    """Whether a batch's gradients are the sum of those of its micro-batches: no layer uses batch statistics."""
    return model.state_dict().keys() == dict(model.named_parameters()).keys()  # those are buffers that are kept


def _twin(model: nn.Module) -> nn.Module:
    """A model with the same weights, in the same memory, but gradients of its own."""
    twin = copy.deepcopy(model).train()
    for ours, theirs in zip(twin.parameters(), model.parameters(), strict=True):
        ours.data = theirs.data
    return twin


def _one_thread() -> None:
    torch.set_num_threads(1)
