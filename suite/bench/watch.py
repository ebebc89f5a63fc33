"""Counts the operators that a piece of code executes, and the tensor memory that it holds."""

from __future__ import annotations

import weakref
from typing import Any

from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

_IDLE = ("_unsafe_view", "empty", "new_empty")  # like views, these read and write no data


class Watch(TorchDispatchMode):
    """A context manager that counts operators and tensor memory.

    Temporary buffers inside an operator and the allocator's reserve are not counted, so the numbers are the same in
    every run. Compiled code isn't seen.

    Attributes:
        operators: executed operators, without views and allocations.
        held: bytes of the tensors that were created inside the context and are still alive.
        peak: the largest value of `held` so far.
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.operators = 0
        self.held = self.peak = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        if not func.is_view:
            self.operators += not func.__name__.startswith(_IDLE)
            given = _storages((args, kwargs))  # an in-place operator returns one of its inputs
            for key, storage in _storages(result).items():
                if key not in given:
                    self._hold(storage)
        return result

    def _hold(self, storage: Any) -> None:
        size = storage.nbytes()
        weakref.finalize(storage, self._let_go, size).atexit = False
        self.held += size
        self.peak = max(self.peak, self.held)

    def _let_go(self, size: int) -> None:
        self.held -= size


def _storages(tree: Any) -> dict[int, Any]:
    """Return the storages of all tensors in a tree, each once, by `id`."""
    found = [leaf.untyped_storage() for leaf in tree_leaves(tree) if isinstance(leaf, Tensor)]
    return {id(storage): storage for storage in found}
