"""The models: vision transformers of published architectures, with any position embedding, joining method and norm.

Convolutional networks are there for the norms that are theirs. What this package exports imports torch when it is
first used; the facts about architectures, position embeddings, joining methods and norms need none.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from suite.models.build import create_model
    from suite.models.reference import load_reference
    from suite.models.timm_join import apply_join
    from suite.weights import read_state

__all__ = ["apply_join", "create_model", "load_reference", "read_state"]

_MODULES = {
    "apply_join": "suite.models.timm_join",
    "create_model": "suite.models.build",
    "load_reference": "suite.models.reference",
    "read_state": "suite.weights",
}


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return getattr(import_module(_MODULES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
