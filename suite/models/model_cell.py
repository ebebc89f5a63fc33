"""The part of a grid cell that defines the model: everything needed to build it, except the weights."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Self

from suite.models.architectures import Architecture, resolve_architecture
from suite.store.canonical import canonical_json


@dataclass(frozen=True)
class Shape:
    """The data's shape, as a model needs it: classes, and square images [in_chans, image_size, image_size]."""

    num_classes: int
    image_size: int
    in_chans: int = 3

    def __str__(self) -> str:
        return f"{self.num_classes} classes, {self.image_size}×{self.image_size}×{self.in_chans}"


@dataclass(frozen=True)
class ModelCell:
    """The definition of a model. `build_model` builds it and draws its initial weights.

    Attributes:
        arch: the architecture.
        pe: the level of the position-embedding axis.
        join: the level of the joining axis.
        norm: the level of the norm axis.
        shape: the data's shape.
        others: levels of optional axes, by axis. Default levels are left out.
    """

    arch: Architecture
    pe: str
    join: str
    norm: str
    shape: Shape
    others: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def with_levels(cls, arch: Architecture, levels: Mapping[str, str], shape: Shape) -> Self:
        """The cell of an architecture with these levels, by axis.

        Args:
            arch: the architecture.
            levels: the levels by axis; must have `pe`, `join` and `norm`.
            shape: the data's shape.
        """
        others = dict(levels)
        pe, join, norm = (others.pop(axis) for axis in ("pe", "join", "norm"))
        return cls(arch, pe, join, norm, shape, others)

    @property
    def levels(self) -> dict[str, str]:
        """The level of each model axis except the architecture."""
        return {"pe": self.pe, "join": self.join, "norm": self.norm, **self.others}

    @cached_property
    def key(self) -> str:
        """Canonical JSON of everything that defines the model.

        The architecture is given by its sizes, so two names of the same architecture have the same key.
        """
        return self._key(self.join, self.norm)

    @property
    def baseline_key(self) -> str:
        """The key of the baseline: the same model with the default join.

        If the model has the default join already, its baseline has the family's own norm.
        """
        return self._key("default", self.norm if self.join != "default" else self.arch.norm)

    def _key(self, join: str, norm: str) -> str:
        others = [dict(self.others)] if self.others else []
        return canonical_json([self.arch.canonical(), self.pe, join, norm, vars(self.shape), *others])

    def values(self) -> dict[str, Any]:
        """The cell as JSON values, with the architecture as its name, family and sizes."""
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
            InputError: this version of the suite doesn't have the architecture.
            KeyError, TypeError: the values don't have the form that `values` returns.
        """
        rest, size = dict(values), dict(values["architecture"])
        arch = resolve_architecture(size.pop("family"), size, label=size.pop("name"))
        del rest["architecture"]
        levels = {axis: rest.pop(axis) for axis in ("pe", "join", "norm")}
        others = rest.pop("others", {})
        return cls(arch, **levels, shape=Shape(**rest), others=others)
