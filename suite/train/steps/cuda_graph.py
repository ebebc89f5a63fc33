"""A training step recorded once as a CUDA graph and replayed."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from suite.train.steps.shares import torchs_own


class Recorded:
    """A step that is recorded as a CUDA graph and replayed.

    Small models gain from this, because launching their kernels takes longer than running them. The step is recorded
    once for each set of shapes. The first calls run it directly, so that all lazy initialisation is done before
    recording. Source: PyTorch's notes on CUDA graphs, "whole-network capture".
    """

    WARM_UP = 3

    def __init__(
        self, step: Callable[..., Tensor], say: Callable[[str], None], generators: Sequence[torch.Generator] = ()
    ) -> None:
        """Wrap a step.

        Args:
            step: Takes tensors on the GPU and returns one. It must change tensors only in place.
            say: Receives a message if the step can't be recorded. The step then runs directly.
            generators: The generators that the step uses, besides torch's default one.
        """
        self._step, self._say, self._generators = step, say, generators
        self._works = True
        self._graph: torch.cuda.CUDAGraph | None = None
        self._held: list[Tensor | None] = []
        self._forget(())

    def __call__(self, *given: Tensor | None) -> Tensor:
        """Run one step. The arguments and the result are those of the wrapped step."""
        shapes = tuple(None if tensor is None else tensor.shape for tensor in given)
        if shapes != self._shapes:
            self._forget(shapes)
        self._calls += 1
        if not self._works:
            return self._step(*given)
        self._hold(given)
        if self._calls <= self.WARM_UP:
            return self._aside()
        if self._graph is None:
            self._record()
            if self._graph is None:
                return self._step(*given)
        self._graph.replay()
        return self._result.clone()

    def _hold(self, given: Sequence[Tensor | None]) -> None:
        """Copy the inputs to the graph's input buffers.

        The buffers are used from the first call on, because new strides would make torch.compile compile again.
        """
        if not self._held:
            self._held = [None if tensor is None else tensor.clone() for tensor in given]
            return
        for held, tensor in zip(self._held, given, strict=True):
            if held is not None and tensor is not None:
                held.copy_(tensor, non_blocking=True)

    def _forget(self, shapes: Sequence[torch.Size | None]) -> None:
        self._shapes, self._calls = tuple(shapes), 0
        self._graph, self._held = None, []
        self._result = torch.empty(0)

    def _aside(self) -> Tensor:
        """Run the step on a side stream, as recording does."""
        now, aside = torch.cuda.current_stream(), torch.cuda.Stream()
        aside.wait_stream(now)
        with torch.cuda.stream(aside):
            result = self._step(*self._held)
        now.wait_stream(aside)
        return result

    def _record(self) -> None:
        graph = torch.cuda.CUDAGraph()
        for generator in self._generators:
            graph.register_generator_state(generator)
        try:
            with torch.cuda.graph(graph):
                self._result = self._step(*self._held)
        except RuntimeError as error:
            self._works, self._held = False, []
            for drawn_from in (torchs_own(torch.device("cuda")), *self._generators):
                drawn_from.graphsafe_set_state(drawn_from.clone_state())  # it is still in capture mode otherwise
            self._say(f"this step can't be recorded as a CUDA graph, and runs without: {error}")
            return
        self._graph = graph
