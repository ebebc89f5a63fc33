"""timm's vision transformers and Swin, with a joining method in each block."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar, NamedTuple

import torch
from timm.models.deit import VisionTransformerDistilled
from timm.models.swin_transformer import SwinTransformer, SwinTransformerBlock
from timm.models.vision_transformer import Block, VisionTransformer
from torch import Tensor, nn
from torch.nn.functional import pad

from suite.errors import InputError
from suite.models.embedding import BlockTerms, Joined, PositionEmbedding
from suite.models.joins import Join
from suite.models.positions import Position
from suite.models.sizes import Grid

POSITION_STD = 0.02  # of a PE that a model hadn't; a normal cut at ±2, as in DeiT and Swin


def _refuse(why: str, found: str, fix: str) -> None:
    raise InputError(f"no joining method can be put into this model: {why}", found=found, fix=fix)


class Around(NamedTuple):
    """What a module adds to its input and to its output. In a tuple, a table isn't taken for its parameter."""

    before: Tensor | None = None
    after: Tensor | None = None

    def __reduce__(self) -> tuple[type[Around], tuple[()]]:
        return Around, ()  # no copy of a model takes part in the forward of the original


def _add_before(module: Any, inputs: tuple[Any, ...]) -> tuple[Any, ...]:
    return (inputs[0] + _present(module, module.joined.before).to(inputs[0].dtype), *inputs[1:])


def _add_after(module: Any, inputs: tuple[Any, ...], output: Tensor) -> Tensor:
    return output + _present(module, module.joined.after).to(output.dtype)


def _present(module: nn.Module, term: Tensor | None) -> Tensor:
    if term is None:
        raise InputError(
            f"this {type(module).__name__} is part of a model whose position joins here",
            expected="a call of the model, of its forward_features or of its forward_intermediates",
            found="a call of the part alone, which would leave the position out",
            fix="call the model",
        )
    return term


class _Stages(nn.Module):
    """What the classes share. A model without stages is one."""

    block_type: ClassVar[type[nn.Module]]

    @classmethod
    def check(cls, model: Any, method: Join) -> None:
        """Refuse what the joining method has no clear meaning with."""
        for stage in cls.stages(model):
            for block in stage:
                norm = getattr(block, "norm1", None)
                if type(block) is not cls.block_type or not isinstance(norm, nn.LayerNorm):
                    _refuse(
                        "its blocks aren't plain pre-norm blocks with LayerNorm",
                        found=f"a {type(block).__name__} with {type(norm).__name__}",
                        fix="use another model",
                    )
        if model.dynamic_img_size:
            _refuse(
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
                _refuse(reason, found=f"width {width}", fix="choose another pe")
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

    def _adopt(self, embeddings: list[PositionEmbedding]) -> None:
        raise NotImplementedError

    def _terms(self) -> list[Joined]:
        """What the joining method adds in each stage, in the layout of its tokens."""
        raise NotImplementedError

    def _stem(self, term: Tensor | None) -> tuple[Any, Around]:
        """The module where the stem's term enters, and on which side."""
        raise NotImplementedError

    def _sites(self, terms: list[Joined]) -> Iterator[tuple[Any, Around]]:
        """Each module that may add a term, with its terms. A pruned model has fewer blocks than terms."""
        yield self._stem(terms[0].stem)
        for stage, joined in zip(self.stages(self), terms, strict=False):
            for block, at in zip(stage, joined.blocks, strict=False):
                yield block, Around(before=at.stream)
                yield block.norm1, Around(before=at.inside, after=at.branch)

    def _place(self, terms: list[Joined]) -> None:
        for module, around in self._sites(terms):
            module.joined = around

    def _clear(self) -> None:
        self._place([Joined(None, [BlockTerms()] * len(stage), None) for stage in self.stages(self)])

    def _hook(self) -> None:
        """Let the modules add what this joining method gives them."""
        with torch.no_grad():
            for module, around in self._sites(self._terms()):
                if around.before is not None:
                    module.register_forward_pre_hook(_add_before)
                if around.after is not None:
                    module.register_forward_hook(_add_after)
        self._clear()

    def _recomputes(self) -> bool:
        """Whether blocks run once more in the backward pass, and need their terms there."""
        raise NotImplementedError

    def forward_features(self, *args: Any, **options: Any) -> Any:
        """As in timm, with the position joined."""
        self._place(self._terms())
        features = super().forward_features(*args, **options)  # type: ignore[misc]
        if not self._recomputes():
            self._clear()
        return features

    def forward_intermediates(self, *args: Any, **options: Any) -> Any:
        """As in timm, with the position joined."""
        self._place(self._terms())
        features = super().forward_intermediates(*args, **options)  # type: ignore[misc]
        if not self._recomputes():
            self._clear()
        return features

    def no_weight_decay(self) -> set[str]:
        """As in timm, and the tables that were added."""
        added = {name for name, _ in self.named_parameters() if name.startswith("position.") and ".tables." in name}
        return set(super().no_weight_decay()) | added  # type: ignore[misc]

    def set_input_size(self, *args: Any, **options: Any) -> None:
        """Not any more: the position is joined for one size."""
        _refuse("its position is joined for one size", "set_input_size", "call it before apply_join")


class _Plain(_Stages):
    blocks: Any
    pos_drop: Any
    num_prefix_tokens: int
    block_type = Block
    prefix_tokens: ClassVar[tuple[str, ...]] = ("cls_token", "reg_token")

    @classmethod
    def check(cls, model: Any, method: Join) -> None:
        super().check(model, method)
        patches, prefix = model.patch_embed.num_patches, model.num_prefix_tokens
        given = sum(getattr(model, name).shape[1] for name in cls.prefix_tokens if getattr(model, name) is not None)
        rows = None if model.pos_embed is None else model.pos_embed.shape[1]
        if given != prefix or rows not in (None, patches + (0 if model.no_embed_class else prefix)):
            _refuse(
                "its position embedding doesn't fit its tokens",
                found=f"{rows} positions, {patches} patches, {given} tokens before them, of which it counts {prefix}",
                fix="use another model",
            )
        if model.no_embed_class and prefix and method.tables == "per_block":
            _refuse(
                f"join {method.name!r} learns a position of every token, but its prefix tokens have none",
                found="no_embed_class",
                fix="choose another join, or create it without no_embed_class",
            )
        if not isinstance(model.patch_drop, nn.Identity):
            _refuse(
                "it drops patches, and doesn't say whose positions remain",
                found="patch_drop_rate",
                fix="create it without patch_drop_rate",
            )

    @staticmethod
    def stages(model: Any) -> list[Any]:
        return [model.blocks]

    @staticmethod
    def grids(model: Any) -> list[Grid]:
        return [tuple(model.patch_embed.grid_size)]

    def _adopt(self, embeddings: list[PositionEmbedding]) -> None:
        (self.position,) = embeddings
        if self.position.tables:
            self.pos_embed: nn.Parameter | None = None
        self._hook()

    def _terms(self) -> list[Joined]:
        omega: Tensor | None = self.pos_embed
        if omega is not None and self.no_embed_class:
            omega = pad(omega, (0, 0, self.num_prefix_tokens, 0))
        return [self.position(omega)]

    def _stem(self, term: Tensor | None) -> tuple[Any, Around]:
        return self.pos_drop, Around(before=term)

    def _recomputes(self) -> bool:
        return bool(self.grad_checkpointing)

    def _pos_embed(self, x: Tensor) -> Tensor:
        """All tokens, [batch, prefix + patches, width], without any position.

        In the parameters' type under autocast, too: a position in the stem would make them so.
        """
        tokens = [getattr(self, name) for name in self.prefix_tokens]
        prefix = [token.expand(len(x), -1, -1) for token in tokens if token is not None]
        x = torch.cat([*prefix, x.to(self.blocks[0].norm1.weight.dtype)], dim=1)
        dropped: Tensor = self.pos_drop(x)
        return dropped

    def group_matcher(self, coarse: bool = False) -> Any:
        """As in timm; a block's maps and tables are of its group."""
        groups = super().group_matcher(coarse)  # type: ignore[misc]
        groups["blocks"].append((r"^position\.\w+\.(\d+)", None))
        return groups


class JoinedVisionTransformer(_Plain, VisionTransformer):
    """timm's VisionTransformer with a joining method."""


class JoinedVisionTransformerDistilled(_Plain, VisionTransformerDistilled):
    """timm's distilled VisionTransformer with a joining method."""

    prefix_tokens = ("cls_token", "dist_token")


class JoinedSwinTransformer(_Stages, SwinTransformer):
    """timm's SwinTransformer with an absolute PE and a joining method; tokens are [batch, rows, columns, width]."""

    layers: Any
    position: Any
    block_type = SwinTransformerBlock

    @staticmethod
    def stages(model: Any) -> list[Any]:
        """The blocks of each stage."""
        return [stage.blocks for stage in model.layers]

    @staticmethod
    def grids(model: Any) -> list[Grid]:
        """Rows and columns of the tokens in each stage's blocks."""
        return [tuple(stage.output_resolution) for stage in model.layers]

    def _adopt(self, embeddings: list[PositionEmbedding]) -> None:
        self.position = nn.ModuleList(embeddings)
        self._hook()

    def _terms(self) -> list[Joined]:
        stages: list[Joined] = []
        omega: Tensor | None = None
        for stage, position, grid in zip(self.layers, self.position, self.grids(self), strict=False):
            if omega is not None:
                merged = stage.downsample(omega.unflatten(1, stage.input_resolution))
                omega = merged.flatten(1, 2).to(omega.dtype)
            joined = position(omega)
            omega = joined.omega

            def laid_out(term: Tensor | None, grid: Grid = grid) -> Tensor | None:
                return None if term is None else term.unflatten(1, grid)

            blocks = [BlockTerms(*map(laid_out, at)) for at in joined.blocks]
            stages.append(Joined(laid_out(joined.stem), blocks, omega))
        return stages

    def _stem(self, term: Tensor | None) -> tuple[Any, Around]:
        return self.patch_embed, Around(after=term)

    def _recomputes(self) -> bool:
        return any(stage.grad_checkpointing for stage in self.layers)

    def group_matcher(self, coarse: bool = False) -> Any:
        """As in timm; a block's maps and tables are of its group."""
        groups = super().group_matcher(coarse)
        if coarse:
            groups["blocks"] = r"^(?:layers|position)\.(\d+)"
        else:
            groups["blocks"].append((r"^position\.(\d+)\.\w+\.(\d+)", None))
        return groups


JOINED: tuple[type[_Stages], ...] = (JoinedVisionTransformer, JoinedVisionTransformerDistilled, JoinedSwinTransformer)
