"""timm's blocks with what a joining method adds to them, as arguments of their forward pass.

So nothing is kept between calls: a model may run in several threads, and be scripted, traced or exported. TorchScript
reads annotations as objects, so this file doesn't postpone them.
"""

from typing import Any, cast

import torch
from timm.models._manipulate import checkpoint
from timm.models.swin_transformer import SwinTransformerBlock, SwinTransformerStage
from timm.models.vision_transformer import Block
from torch import Tensor, nn

from suite.errors import InputError
from suite.models.embedding import Joined, PositionEmbedding


def plus(x: Tensor, term: Tensor | None) -> Tensor:
    """The sum of x and a term, in the type of x, where there is a term."""
    return x if term is None else x + term.to(x.dtype)


def at(terms: list[Tensor] | None, block: int) -> Tensor | None:
    """The term of a block, of a list that has one for each block, is empty, or isn't there."""
    return None if terms is None or len(terms) == 0 else terms[block]


def _check_call(block: Any, stream: Tensor | None, inside: Tensor | None, branch: Tensor | None) -> None:
    given = (stream is not None, inside is not None, branch is not None)
    if given != block.adds:
        raise InputError(
            f"this {type(block).__name__} is part of a model whose position joins here",
            expected="a call of the model, of its forward_features or of its forward_intermediates",
            found="a call of the part alone, which would leave the position out",
            fix="call the model",
        )


class JoinedBlock(Block):
    """timm's pre-norm block. `adds` says which terms it must be given: stream, inside and branch, of `joins.Terms`."""

    adds: tuple[bool, bool, bool]

    def forward(
        self,
        x: Tensor,
        attn_mask: Tensor | None = None,
        is_causal: bool = False,
        stream: Tensor | None = None,
        inside: Tensor | None = None,
        branch: Tensor | None = None,
    ) -> Tensor:
        """[batch, tokens, width] to the same. The terms are [1, tokens, width]."""
        if not torch.jit.is_scripting():  # type: ignore[attr-defined]
            _check_call(self, stream, inside, branch)
        x = plus(x, stream)
        seen = plus(self.norm1(plus(x, inside)), branch)
        x = x + self.drop_path1(self.ls1(self.attn(seen, attn_mask=attn_mask, is_causal=is_causal)))
        x = x + self.drop_path2(self.ls2(self.mlp(self.norm2(x))))
        return x


class JoinedSwinBlock(SwinTransformerBlock):
    """timm's block of Swin. `adds` is as in `JoinedBlock`."""

    adds: tuple[bool, bool, bool]

    def forward(
        self, x: Tensor, stream: Tensor | None = None, inside: Tensor | None = None, branch: Tensor | None = None
    ) -> Tensor:
        """[batch, rows, columns, width] to the same. The terms are [1, rows, columns, width]."""
        if not torch.jit.is_scripting():  # type: ignore[attr-defined]
            _check_call(self, stream, inside, branch)
        batch, rows, columns, width = x.shape
        x = plus(x, stream)
        x = x + self.drop_path1(self._attn(plus(self.norm1(plus(x, inside)), branch)))  # type: ignore[no-untyped-call]
        x = x.reshape(batch, -1, width)
        x = x + self.drop_path2(self.mlp(self.norm2(x)))
        return x.reshape(batch, rows, columns, width)


class JoinedSwinStage(SwinTransformerStage):
    """timm's stage of Swin, which hands the terms to its blocks: lists of one per block, or empty ones."""

    def forward(
        self,
        x: Tensor,
        stream: list[Tensor] | None = None,
        inside: list[Tensor] | None = None,
        branch: list[Tensor] | None = None,
    ) -> Tensor:
        """[batch, rows, columns, width] to the same, or merged."""
        x = self.downsample(x)
        for number, block in enumerate(self.blocks):
            added, within, beside = at(stream, number), at(inside, number), at(branch, number)
            if self.grad_checkpointing and not torch.jit.is_scripting():  # type: ignore[attr-defined]
                x = checkpoint(block, x, added, within, beside)
            else:
                x = block(x, added, within, beside)
        return x


def lists(joined: Joined) -> list[list[Tensor]]:
    """The terms by their kind: of the stem (at most one), stream, inside and branch (of each block, or none); ω."""
    by_kind = zip(*(at[:3] for at in joined.blocks), strict=True)
    kinds = [[term for term in terms if term is not None] for terms in by_kind]
    return [[] if joined.stem is None else [joined.stem], *kinds, [] if joined.omega is None else [joined.omega]]


def parted(terms: list[Tensor], counts: list[int]) -> list[list[Tensor]]:
    """`lists`, of so many terms each, from all of them in a row."""
    parts: list[list[Tensor]] = []
    start = 0
    for count in counts:
        parts.append(terms[start : start + count])
        start += count
    return parts


class _InARow(PositionEmbedding):
    """All terms in a row: a function that can be traced, since it depends on nothing but parameters and ω."""

    def forward(self, carried: Tensor) -> list[Tensor]:  # type: ignore[override]
        """carried: ω of the stage before, or no numbers. It ends the row, which is never empty, as a trace needs it."""
        parts = lists(super().forward(carried if carried.numel() else None))
        return [*(term for part in parts for term in part), carried]


def scriptable(position: PositionEmbedding, carried: Tensor) -> nn.Module:
    """The traced form of a position embedding, with the same parameters under the same names.

    TorchScript can't compile a joining method, which is any function of tables and maps. Tracing loses nothing of it.
    """
    shown = position.__new__(_InARow)
    shown.__dict__.update(position.__dict__)
    return cast(nn.Module, torch.jit.trace(shown, (carried,), strict=False, check_trace=False))
