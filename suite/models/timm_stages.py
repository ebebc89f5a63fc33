"""What timm's vision transformers and Swin with a joining method have in common."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any, ClassVar, NoReturn

import torch
from torch import Tensor, nn

from suite.errors import InputError
from suite.models.embedding import PositionEmbedding
from suite.models.joins import Join
from suite.models.positions import Position
from suite.models.sizes import Grid

POSITION_STD = 0.02  # of a PE that a model hadn't; a normal cut at ±2, as in DeiT and Swin


def refuse(why: str, found: str, fix: str) -> NoReturn:
    """Raise `InputError`: the model can't take a joining method."""
    raise InputError(f"no joining method can be put into this model: {why}", found=found, fix=fix)


class Joining(nn.Module):
    """What the joined models share. A model without stages counts as one stage."""

    block_type: ClassVar[type[nn.Module]]
    joined_block_type: ClassVar[type[nn.Module]]

    @classmethod
    def check(cls, model: Any, method: Join) -> None:
        """Raise `InputError` where the joining method has no clear meaning."""
        for stage in cls.stages(model):
            for block in stage:
                norm = getattr(block, "norm1", None)
                if type(block) is not cls.block_type or not isinstance(norm, nn.LayerNorm):
                    refuse(
                        "its blocks aren't plain pre-norm blocks with LayerNorm",
                        found=f"a {type(block).__name__} with {type(norm).__name__}",
                        fix="use another model",
                    )
        if getattr(model, "dynamic_img_size", False):
            refuse(
                "it takes images of any size, and a position is joined for one",
                found="dynamic_img_size",
                fix="create it with img_size, and without dynamic_img_size",
            )

    @classmethod
    def embeddings(cls, model: Any, position: Position, method: Join) -> list[PositionEmbedding]:
        """The position embedding of each stage, on the model's device."""
        own = getattr(model, "pos_embed", None)
        embeddings = []
        for index, (stage, grid) in enumerate(zip(cls.stages(model), cls.grids(model), strict=True)):
            norm = stage[0].norm1
            (width,) = norm.normalized_shape
            if reason := position.refuses_width(width):
                refuse(reason, found=f"width {width}", fix="choose another pe")
            embedding = PositionEmbedding(
                position,
                method,
                grid=grid,
                prefix=getattr(model, "num_prefix_tokens", 0),
                width=width,
                depth=len(stage),
                heads=stage[0].attn.num_heads,
                eps=norm.eps,
                carried=index > 0 or own is not None,
            )
            embedding = embedding.to(norm.weight.device, norm.weight.dtype).train(model.training)
            with torch.no_grad():
                for table in embedding.tables:
                    if own is not None:
                        table.copy_(own)
                    elif position.learnable:
                        nn.init.trunc_normal_(table, std=POSITION_STD)
            embeddings.append(embedding)
        return embeddings

    @staticmethod
    def stages(model: Any) -> list[Any]:
        """The blocks of each stage, as a sequence."""
        raise NotImplementedError

    @staticmethod
    def grids(model: Any) -> list[Grid]:
        """Rows and columns of the patch tokens in each stage."""
        raise NotImplementedError

    def adopt(self, embeddings: list[PositionEmbedding]) -> None:
        """Take over the position embedding of each stage: the last step of `apply_join`."""
        raise NotImplementedError

    def _join_blocks(self, terms: list[list[list[Tensor]]]) -> None:
        """Let each block take the terms that its stage has for it."""
        for stage, kinds in zip(self.stages(self), terms, strict=True):
            for block in stage:
                block.__class__ = self.joined_block_type
                block.adds = tuple(len(kind) > 0 for kind in kinds[1:4])
        self.counts = [[len(kind) for kind in kinds] for kinds in terms]

    def no_weight_decay(self) -> set[str]:
        """As in timm, and the tables that were added."""
        added = {name for name, _ in self.named_parameters() if name.startswith("position.") and ".tables." in name}
        return set(super().no_weight_decay()) | added  # type: ignore[misc]

    def set_input_size(self, *args: Any, **options: Any) -> None:
        """Not any more: the position is joined for one size."""
        refuse("its position is joined for one size", "set_input_size", "call it before apply_join")

    def _view(self) -> Any:
        """A copy whose modules can be replaced, with the same weights."""
        view = copy.copy(self)
        view.__dict__["_modules"] = dict(self._modules)
        return view


def check_tokens(model: Any, tokens: Sequence[str], method: Join) -> None:
    """Raise `InputError` where a model's position embedding, its tokens and the joining method don't fit together.

    Args:
        model: a model with patches in one row.
        tokens: the parameters that are tokens before the patches.
        method: the joining method.
    """
    patches, prefix = model.patch_embed.num_patches, model.num_prefix_tokens
    unplaced = getattr(model, "no_embed_class", False)
    given = sum(getattr(model, name).shape[1] for name in tokens if getattr(model, name, None) is not None)
    rows = None if model.pos_embed is None else model.pos_embed.shape[1]
    if given != prefix or rows not in (None, patches + (0 if unplaced else prefix)):
        refuse(
            "its position embedding doesn't fit its tokens",
            found=f"{rows} positions, {patches} patches, {given} tokens before them, of which it counts {prefix}",
            fix="use another model",
        )
    if unplaced and prefix and method.tables == "per_block":
        refuse(
            f"join {method.name!r} learns a position of every token, but its prefix tokens have none",
            found="no_embed_class",
            fix="choose another join, or create it without no_embed_class",
        )
    if not isinstance(getattr(model, "patch_drop", None), nn.Identity | None):
        refuse(
            "it drops patches, and doesn't say whose positions remain",
            found="patch_drop_rate",
            fix="create it without patch_drop_rate",
        )
