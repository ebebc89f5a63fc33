"""A cell of the grid as its model alone: everything that builds it, and no weights."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Self

from suite.models.architectures import Architecture, resolve_architecture
from suite.store.canonical import canonical_json


@dataclass(frozen=True)
class Shape:
    """What a model needs to know of its data: classes, and square images of [in_chans, image_size, image_size]."""

    num_classes: int
    image_size: int
    in_chans: int = 3

    def __str__(self) -> str:
        return f"{self.num_classes} classes, {self.image_size}×{self.image_size}×{self.in_chans}"


@dataclass(frozen=True)
class ModelCell:
    """A model without its weights; `build_model` draws them.

    others: the levels of axes that not every model has, by axis, unless they are the usual ones.
    """

    arch: Architecture
    pe: str
    join: str
    norm: str
    shape: Shape
    others: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def with_levels(cls, arch: Architecture, levels: Mapping[str, str], shape: Shape) -> Self:
        """The model with these levels, by axis; at least those that every model has."""
        others = dict(levels)
        pe, join, norm = (others.pop(axis) for axis in ("pe", "join", "norm"))
        return cls(arch, pe, join, norm, shape, others)

    @property
    def levels(self) -> dict[str, str]:
        """The level of each axis of the model but its architecture."""
        return {"pe": self.pe, "join": self.join, "norm": self.norm, **self.others}

    @cached_property
    def key(self) -> str:
        """All that fixes the model; architectures by their sizes, so that two names of one are one."""
        return self._key(self.join, self.norm)

    @property
    def baseline_key(self) -> str:
        """The key of the same model with the default joining; or of that with its family's own norm."""
        return self._key("default", self.norm if self.join != "default" else self.arch.family.norm)

    def _key(self, join: str, norm: str) -> str:
        others = [dict(self.others)] if self.others else []
        return canonical_json([self.arch.canonical(), self.pe, join, norm, vars(self.shape), *others])

    def values(self) -> dict[str, Any]:
        """The cell as JSON has it; the architecture is its name, its family and its sizes."""
        return {
            "architecture": {"name": self.arch.name, **self.arch.canonical()},
            "pe": self.pe,
            "join": self.join,
            "norm": self.norm,
            **vars(self.shape),
            **({"others": dict(self.others)} if self.others else {}),
        }

    @classmethod
    def of(cls, values: dict[str, Any]) -> ModelCell:
        """The inverse of `values`.

        Raises:
            InputError: this version of the suite has no such architecture.
            KeyError, TypeError: it isn't what `values` gives.
        """
        rest, size = dict(values), dict(values["architecture"])
        arch = resolve_architecture(size.pop("family"), size, label=size.pop("name"))
        del rest["architecture"]
        levels = {axis: rest.pop(axis) for axis in ("pe", "join", "norm")}
        others = rest.pop("others", {})
        return cls(arch, **levels, shape=Shape(**rest), others=others)
