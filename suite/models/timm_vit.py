"""timm's VisionTransformer, distilled or not, with a joining method in each block.

TorchScript reads annotations as objects, so this file doesn't postpone them.
"""

from typing import TYPE_CHECKING, Any, ClassVar

import torch
from timm.models._features import feature_take_indices
from timm.models._manipulate import checkpoint
from timm.models.deit import VisionTransformerDistilled
from timm.models.vision_transformer import Block, VisionTransformer
from torch import Tensor, nn
from torch.nn.functional import pad

from suite.models.embedding import PositionEmbedding
from suite.models.joins import Join
from suite.models.sizes import Grid
from suite.models.timm_blocks import JoinedBlock, at, lists, parted, plus, scriptable
from suite.models.timm_features import packed
from suite.models.timm_stages import Joining, check_tokens


class _Plain(Joining):
    if TYPE_CHECKING:  # TorchScript would take these annotations for its own
        blocks: Any
        position: Any
        patch_embed: Any
        patch_drop: Any
        pos_drop: Any
        norm_pre: Any
        norm: Any
        cls_token: Any
        reg_token: Any
        num_prefix_tokens: int

    block_type = Block
    joined_block_type = JoinedBlock
    prefix_tokens: ClassVar[tuple[str, ...]] = ("cls_token", "reg_token")

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
            self.pos_embed: nn.Parameter | None = None
        with torch.no_grad():
            self._join_blocks([self._terms()])

    def _omega(self) -> Tensor:
        """The model's own position of all tokens; no numbers if it has none."""
        if self.pos_embed is None:
            return torch.empty(0)
        return pad(self.pos_embed, (0, 0, self.num_prefix_tokens, 0)) if self.no_embed_class else self.pos_embed

    def _terms(self) -> list[list[Tensor]]:
        """What the joining method adds: `lists`."""
        if torch.jit.is_scripting():  # type: ignore[attr-defined]
            return parted(self.position(self._omega()), self.counts[0])
        return lists(self.position(None if self.pos_embed is None else self._omega()))

    def _tokens(self, x: Tensor, stem: list[Tensor]) -> Tensor:
        """Images to what the first block gets."""
        x = self.patch_embed(x)
        x = self.pos_drop(plus(self._pos_embed(x), at(stem, 0)))
        before: Tensor = self.norm_pre(self.patch_drop(x))
        return before

    def forward_features(self, x: Tensor, attn_mask: Tensor | None = None, is_causal: bool = False) -> Tensor:
        """As in timm, with the position joined."""
        terms = self._terms()
        x = self._tokens(x, terms[0])
        for number, block in enumerate(self.blocks):
            stream, inside, branch = at(terms[1], number), at(terms[2], number), at(terms[3], number)
            if self.grad_checkpointing and not torch.jit.is_scripting():  # type: ignore[attr-defined]
                x = checkpoint(block, x, attn_mask, is_causal, stream, inside, branch)
            else:
                x = block(x, attn_mask, is_causal, stream, inside, branch)
        features: Tensor = self.norm(x)
        return features

    def forward_intermediates(
        self,
        x: Tensor,
        indices: int | list[int] | None = None,
        return_prefix_tokens: bool = False,
        norm: bool = False,
        stop_early: bool = False,
        output_fmt: str = "NCHW",
        intermediates_only: bool = False,
        output_dict: bool = False,
        attn_mask: Tensor | None = None,
        is_causal: bool = False,
    ) -> Any:
        """As in timm, with the position joined."""
        wanted, last = feature_take_indices(len(self.blocks), indices)
        terms = self._terms()
        x = self._tokens(x, terms[0])
        taken = []
        for number, block in enumerate(self.blocks[: last + 1] if stop_early else self.blocks):
            added = (attn_mask, is_causal, at(terms[1], number), at(terms[2], number), at(terms[3], number))
            x = checkpoint(block, x, *added) if self.grad_checkpointing else block(x, *added)
            if number in wanted:
                taken.append(self.norm(x) if norm else x)
        return packed(
            taken,
            None if intermediates_only else self.norm(x),
            prefix=self.num_prefix_tokens,
            grid=self.patch_embed.grid_size,
            return_prefix_tokens=return_prefix_tokens,
            output_fmt=output_fmt,
            output_dict=output_dict,
        )

    def _pos_embed(self, x: Tensor) -> Tensor:
        """All tokens, [batch, prefix + patches, width], without any position.

        In the parameters' type under autocast, too: a position in the stem would make them so.
        """
        tokens: list[Tensor] = []
        if self.cls_token is not None:
            tokens.append(self.cls_token.expand(x.shape[0], -1, -1))
        if self.reg_token is not None:
            tokens.append(self.reg_token.expand(x.shape[0], -1, -1))
        tokens.append(x.to(self.blocks[0].attn.proj.weight.dtype))
        return torch.cat(tokens, dim=1)

    def group_matcher(self, coarse: bool = False) -> Any:
        """As in timm; a block's maps and tables are of its group."""
        groups = super().group_matcher(coarse)  # type: ignore[misc]
        groups["blocks"].append((r"^position\.\w+\.(\d+)", None))
        return groups

    def __prepare_scriptable__(self) -> Any:
        """For `torch.jit.script`."""
        view = self._view()
        with torch.no_grad():
            view._modules["position"] = scriptable(self.position, self._omega())
        return view


class JoinedVisionTransformer(_Plain, VisionTransformer):
    """timm's VisionTransformer with a joining method."""


class JoinedVisionTransformerDistilled(_Plain, VisionTransformerDistilled):
    """timm's distilled VisionTransformer with a joining method."""

    prefix_tokens = ("cls_token", "dist_token")

    def _pos_embed(self, x: Tensor) -> Tensor:
        """As of the plain one, with the distillation token."""
        class_token, distillation_token = (
            self.cls_token.expand(x.shape[0], -1, -1),
            self.dist_token.expand(x.shape[0], -1, -1),
        )
        return torch.cat([class_token, distillation_token, x.to(self.blocks[0].attn.proj.weight.dtype)], dim=1)
