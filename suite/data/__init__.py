"""Data sets: their declared facts, preparation and verification, and reading them for training."""

from __future__ import annotations

from typing import TYPE_CHECKING

from suite.faces import lazy

if TYPE_CHECKING:
    from suite.data.images import load_images as load_images
    from suite.data.preparation import prepare as prepare

__getattr__ = lazy(
    __name__,
    {
        "load_images": "images",
        "prepare": "preparation",
    },
)
