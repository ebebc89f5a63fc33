"""The models: vision transformers of published architectures, with any position embedding and joining method.

`create_model` and `load_reference` import torch when they are first used; the facts about architectures,
position embeddings and joining methods need none.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from suite.models.build import create_model
    from suite.models.reference import load_reference

__all__ = ["create_model", "load_reference"]


def __getattr__(name: str) -> Any:
    if name == "create_model":
        from suite.models.build import create_model

        return create_model
    if name == "load_reference":
        from suite.models.reference import load_reference

        return load_reference
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
