"""Micro-batches: split each batch of a step into parts, which run on several CPU threads or one after another."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from itertools import accumulate
from typing import TypeVar

import torch
from torch import Tensor, nn

from suite.models.layers.dropout import masks_from
from suite.models.layers.sparing import sparing
from suite.train.losses.objective import Output
from suite.train.parallel.team import ALONE, Team
from suite.train.steps.precision import SINGLE, Precision
from suite.train.thread_pools import operator_pool

Item = TypeVar("Item")
Result = TypeVar("Result")
# Bytes of activations that each thread keeps for the backward pass; more is hardly faster. In bfloat16, products take
# so little time that the fixed work of a micro-batch (casting all weights, adding all gradients) counts for more.
HELD, HELD_IN_BFLOAT16 = 96 * 2**20, 256 * 2**20
Forward = Callable[[Tensor], Output]  # a model, or its compiled version
LossOf = Callable[[Forward, slice], Tensor]  # the mean loss of a model on a micro-batch


class Split:
    """Splits a batch into micro-batches. Each CPU thread processes some of them in turn; on a GPU one thread does all.

    If operators used several threads, the threads would wait for each other after every operator. Threads with separate
    micro-batches wait for each other only once per step. The backward pass also needs the activations of only one
    micro-batch per thread, not of the whole batch. The result is that of the whole batch, except for rounding and
    dropout masks. It is the same in every run with the same number of threads and micro-batches.

    Dropout masks: on a CPU each micro-batch has its own generator. On a GPU, where fused attention uses only torch's
    default generator, and in compiled models, all micro-batches of a process draw from the default generator in turn.

    Several processes act like more threads: each takes some micro-batches, and their gradients are added.
    """

    def __init__(
        self, model: nn.Module, threads: int, shares: int, forward: Forward | None = None, team: Team = ALONE
    ) -> None:
        """Create a split.

        Args:
            model: A model in training mode. It must not use batch statistics (see `splittable`).
            threads: CPU threads; 1 on a GPU.
            shares: Micro-batches per batch, over all processes.
            forward: For a GPU or a compiled model: the function to call in place of `model`. It runs on one thread and
                uses torch's default generator.
            team: The processes that share each batch.
        """
        self._model, self._shares, self._team, self._named = model, shares, team, forward is None
        self._forwards: list[Forward] = [model if forward is None else forward]
        self._twins = [_twin(model) for _ in range(threads - 1)]
        self._forwards += self._twins
        if self._named:
            self.generators = [torch.Generator() for _ in range(shares)]
        elif team.size > 1:
            own = torchs_own(next(model.parameters()).device)
            self.generators = [own if rank == team.rank else torch.Generator(own.device) for rank in range(team.size)]
        else:
            self.generators = []  # torch's default generator is used, which the trainer seeds
        self._pool = operator_pool(threads, "share")

    def at_once(self, size: int) -> int:
        """The largest number of images per forward and backward pass, for a batch of `size` images."""
        return math.ceil(size / self._shares)

    def seed(self, seed: int) -> None:
        """Seed the dropout masks."""
        for number, generator in enumerate(self.generators):
            generator.manual_seed((seed + number) % 2**63)

    def gather(self) -> None:
        """Copy the state of each generator from the process that uses it to all processes."""
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
        """The places in a batch of `size` images that this process handles, int64, ascending; None: all."""
        if self._team.size == 1:
            return None
        bounds = self._bounds(size)
        return torch.cat([torch.arange(bounds[share], bounds[share + 1]) for share in self._own])

    @property
    def _own(self) -> list[int]:
        """The micro-batches of this process. They are dealt to all threads of all processes in turn."""
        threads, rank = len(self._forwards), self._team.rank
        workers = threads * self._team.size
        return [share for share in range(self._shares) if share % workers // threads == rank]

    def _bounds(self, size: int) -> list[int]:
        return [size * share // self._shares for share in range(self._shares + 1)]

    def gradients(self, loss_of: LossOf, size: int, scaled: Callable[[Tensor], Tensor] = lambda loss: loss) -> Tensor:
        """Add the gradients of a batch's mean loss to the model's gradients. Returns the mean loss, a scalar.

        Args:
            loss_of: Computes the mean loss of a micro-batch, from the model and a slice of this process's `images`.
            size: Images of the batch, over all processes.
            scaled: Scales a loss before its backward pass.
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
        """Apply the function to each item, in parallel on all threads. Results come in the order of the items."""

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
    """The number of micro-batches per batch: a multiple of `workers`, except that it never exceeds the batch.

    Args:
        batch: Images per batch.
        most: The largest number of images in a micro-batch; None: one micro-batch.
        workers: Threads over all processes.
    """
    return 1 if most is None else min(batch, workers * math.ceil(math.ceil(batch / most) / workers))


def choose_shares(
    model: nn.Module, shape: Sequence[int], batch: int, threads: int, precision: Precision = SINGLE
) -> int:
    """The number of micro-batches per batch on a CPU: the fewest whose activations fit in `HELD` bytes per thread.

    In bfloat16, they must fit in `HELD_IN_BFLOAT16` bytes.

    It doesn't depend on the machine's memory, because results must not.

    Args:
        model: The model.
        shape: The shape of an image, [C, H, W].
        batch: Images per batch.
        threads: Threads over all processes; the result is a multiple of it.
        precision: The precision of the forward pass.
    """
    held = HELD if precision.dtype is None else HELD_IN_BFLOAT16
    most = max(1, held // max(1, held_for_backward(model, shape, precision)))  # images
    return micro_batches(batch, most, threads)


def held_for_backward(model: nn.Module, shape: Sequence[int], precision: Precision = SINGLE) -> int:
    """The bytes that a training step keeps for its backward pass per image, measured on a batch of two images.

    Args:
        model: The model; it doesn't change.
        shape: The shape of an image, [C, H, W].
        precision: The precision of the forward pass.
    """
    tried, held = copy.deepcopy(model).train(), dict[int, Tensor]()

    def note(tensor: Tensor) -> Tensor:
        held[tensor.untyped_storage().data_ptr()] = tensor
        return tensor

    hooks = torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor)
    with torch.random.fork_rng([]), hooks, sparing(), precision.autocast(torch.device("cpu")):
        out = tried(torch.zeros(2, *shape))
    weights = {parameter.untyped_storage().data_ptr() for parameter in tried.parameters()}
    total = sum(tensor.untyped_storage().nbytes() for key, tensor in held.items() if key not in weights)
    del out  # its graph kept the saved tensors alive
    return total // 2


def splittable(model: nn.Module) -> bool:
    """Whether a batch's gradients are the sum of those of its micro-batches: no layer uses batch statistics.

    A model may also say that it isn't divisible: see `Model.divisible`.
    """
    if not all(getattr(module, "divisible", True) for module in (model, getattr(model, "model", model))):
        return False
    return model.state_dict().keys() == dict(model.named_parameters()).keys()  # such layers have persistent buffers


def _twin(model: nn.Module) -> nn.Module:
    """A copy of the model that shares its weights in memory but has its own gradients."""
    twin = copy.deepcopy(model).train()
    for ours, theirs in zip(twin.parameters(), model.parameters(), strict=True):
        ours.data = theirs.data
    return twin
