"""What a piece of code does with tensors: the operators that compute, and the memory that is held at once."""

from __future__ import annotations

import weakref
from typing import Any

from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

_IDLE = ("_unsafe_view", "empty", "new_empty")  # beside views: they read and write nothing


class Watch(TorchDispatchMode):
    """A context manager. operators: that computed something, views and allocations left out.

    held, peak: bytes of the tensors that were made inside and are alive, now and at most so far. Not in it:
    what an operator needs and gives back within itself, and what an allocator holds in reserve; so the
    numbers are the same in every run. Compiled code isn't seen.
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.operators = 0
        self.held = self.peak = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        if not func.is_view:
            self.operators += not func.__name__.startswith(_IDLE)
            given = _storages((args, kwargs))  # an operator in place returns one of them
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
    """The memory behind the tensors, each once, by its identity."""
    found = [leaf.untyped_storage() for leaf in tree_leaves(tree) if isinstance(leaf, Tensor)]
    return {id(storage): storage for storage in found}
