"""Joining methods in timm's Eva and BEiT: where each takes a position is data, and the code is one for all.

A model keeps its own forward pass. While it runs, the terms of the joining method lie at the modules that take them:
the stem's at the dropout of the position, a block's at the block and at its first norm. So a model that is being run
by one thread can't be run by another: give each thread a copy. The model's rotary or relative positions stay.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn.functional import pad

from suite.errors import InputError
from suite.models.embedding import PositionEmbedding
from suite.models.joins import Join
from suite.models.sizes import Grid
from suite.models.timm_blocks import at, lists, plus
from suite.models.timm_layout import prefix_tokens
from suite.models.timm_stages import Joining, check_tokens, refuse
from suite.registry import resolve


@dataclass(frozen=True)
class PositionSites:
    """Where a class of timm's models takes a position.

    Args:
        model: "module:class".
        block: "module:class" of its blocks, which must be pre-norm.
        tokens: the parameters that are tokens before the patches.
        stem: the module whose input is the tokens with the model's own position.
        norm: a block's norm before attention.
    """

    model: str
    block: str
    tokens: tuple[str, ...]
    stem: str = "pos_drop"
    norm: str = "norm1"


POSITION_SITES = (
    PositionSites("timm.models.eva:Eva", "timm.models.eva:EvaBlock", ("cls_token", "reg_token")),
    PositionSites("timm.models.beit:Beit", "timm.models.beit:Block", ("cls_token",)),
)


class _Taking(nn.Module):
    """A module with terms that are added to its first input and to its output while the model runs."""

    takes: tuple[bool, bool]
    terms: tuple[Tensor | None, Tensor | None] = (None, None)  # in a tuple, since they aren't parameters of this module

    def forward(self, x: Tensor, *args: Any, **options: Any) -> Tensor:
        """What the module computes, with the terms."""
        before, after = self.terms
        if (before is not None, after is not None) != self.takes:
            raise InputError(
                f"this {type(self).__name__} is part of a model whose position joins here",
                expected="a call of the model, of its forward_features or of its forward_intermediates",
                found="a call of the part alone, which would leave the position out",
                fix="call the model",
            )
        y: Tensor = super().forward(plus(x, before), *args, **options)
        return plus(y, after)


class _JoinedAtSites(Joining):
    """A model of timm's with a joining method at the sites of its class."""

    sites: ClassVar[PositionSites]
    prefix_tokens: ClassVar[tuple[str, ...]]
    joining = False  # whether the forward pass runs, to which the model's own table must not show
    blocks: Any
    position: PositionEmbedding

    @property
    def pos_embed(self) -> nn.Parameter | None:
        """The model's own position embedding. Its forward pass sees none, since the joining method adds it."""
        return None if self.joining else self._parameters.get("pos_embed")

    @classmethod
    def check(cls, model: Any, method: Join) -> None:
        """Raise `InputError` where the joining method has no clear meaning."""
        super().check(model, method)
        check_tokens(model, cls.prefix_tokens, method)

    @staticmethod
    def stages(model: Any) -> list[Any]:
        """One stage."""
        return [model.blocks]

    @staticmethod
    def grids(model: Any) -> list[Grid]:
        """Of the one stage."""
        return [tuple(model.patch_embed.grid_size)]

    def adopt(self, embeddings: list[PositionEmbedding]) -> None:
        """Take over the position embedding."""
        (self.position,) = embeddings
        if len(self.position.tables) > 0:
            self._parameters["pos_embed"] = None
        with torch.no_grad():
            stem, streams, insides, branches, _ = self._terms()
        places = [(self.get_submodule(self.sites.stem), (bool(stem), False))]
        for block in self.blocks:
            places.append((block, (bool(streams), False)))
            places.append((getattr(block, self.sites.norm), (bool(insides), bool(branches))))
        for module, takes in places:
            if any(takes):
                kind: Any = type(module)
                module.__class__ = _taking(kind)
                module.takes = takes  # type: ignore[assignment]

    def _terms(self) -> list[list[Tensor]]:
        """What the joining method adds: `lists`."""
        own: Any = self._parameters.get("pos_embed")
        if own is not None and getattr(self, "no_embed_class", False):
            own = pad(own, (0, 0, prefix_tokens(self), 0))
        return lists(self.position(own))

    @contextmanager
    def _joined(self) -> Iterator[None]:
        """Within it the terms are at their places, and the model's own position is out of sight."""
        stem, streams, insides, branches, _ = self._terms()
        self._place(self.get_submodule(self.sites.stem), at(stem, 0), None)
        for number, block in enumerate(self.blocks):
            self._place(block, at(streams, number), None)
            self._place(getattr(block, self.sites.norm), at(insides, number), at(branches, number))
        self.joining = True
        try:
            yield
        finally:
            self.joining = False
            self._place(self.get_submodule(self.sites.stem), None, None)
            for block in self.blocks:
                self._place(block, None, None)
                self._place(getattr(block, self.sites.norm), None, None)

    @staticmethod
    def _place(module: nn.Module, before: Tensor | None, after: Tensor | None) -> None:
        if isinstance(module, _Taking):
            module.terms = (before, after)

    def forward_features(self, *args: Any, **options: Any) -> Tensor:
        """As in timm, with the position joined."""
        with self._joined():
            features: Tensor = super().forward_features(*args, **options)  # type: ignore[misc]
        return features

    def forward_intermediates(self, *args: Any, **options: Any) -> Any:
        """As in timm, with the position joined."""
        with self._joined():
            return super().forward_intermediates(*args, **options)  # type: ignore[misc]

    def set_grad_checkpointing(self, enable: bool = True) -> None:
        """Refused: the backward pass would compute blocks anew when their terms are gone."""
        if enable:
            refuse("its blocks can't be computed once more", "set_grad_checkpointing", "leave it out")

    def group_matcher(self, coarse: bool = False) -> Any:
        """As in timm; a block's maps and tables are of its group."""
        groups = super().group_matcher(coarse)  # type: ignore[misc]
        groups["blocks"].append((r"^position\.\w+\.(\d+)", None))
        return groups

    def __prepare_scriptable__(self) -> Any:
        """For `torch.jit.script`: refused."""
        refuse("torch.jit.script can't compile it", "torch.jit.script", "use torch.export.export or torch.jit.trace")


@lru_cache
def _taking(module: type[nn.Module]) -> type[nn.Module]:
    return type(f"Joined{module.__name__}", (_Taking, module), {})


def joined_types() -> tuple[type[Joining], ...]:
    """The class of each timm class in `POSITION_SITES` with a joining method."""
    made = []
    for sites in POSITION_SITES:
        model, block = resolve(sites.model), resolve(sites.block)
        facts = {"sites": sites, "prefix_tokens": sites.tokens, "block_type": block, "joined_block_type": block}
        made.append(type(f"Joined{model.__name__}", (_JoinedAtSites, model), {**facts, "__module__": __name__}))
    return tuple(made)
