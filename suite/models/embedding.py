"""The position embedding of a model or of one of its stages: a PE, and the maps of a joining method."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import layer_norm, pad

from suite.models.joins import LAYER_NORM, BlockMap, Join
from suite.models.positions import ATTENTION_LOGITS, BLOCK_OUTPUT, QUERIES_AND_KEYS, Position
from suite.models.sites.site import AfterBlock, ContextualBias, Place, Site
from suite.models.sizes import Grid
from suite.registry import resolve


class BlockTerms(NamedTuple):
    """What the position does in one block: the joining method's `Terms` for it, and what acts on attention and output.

    Attributes:
        stream: see `Terms`; [1, tokens, width], as `inside` and `branch`.
        inside: see `Terms`.
        branch: see `Terms`.
        bias: added to attention's scaled products before the softmax, [heads, tokens, tokens].
        turn: cosine and sine of the angles by which queries and keys are turned, [heads, tokens, pairs, 2].
        contextual: maps queries to what is added to the scaled products as well.
        after: acts on the tokens after the block.
    """

    stream: Tensor | None = None
    inside: Tensor | None = None
    branch: Tensor | None = None
    bias: Tensor | None = None
    turn: Tensor | None = None
    contextual: ContextualBias | None = None
    after: AfterBlock | None = None

    def of_patches(self, prefix: int) -> BlockTerms:
        """The same for a block without prefix tokens: the joining method's terms without their first `prefix` rows."""
        stream, inside, branch = (
            None if term is None else term[:, prefix:] for term in (self.stream, self.inside, self.branch)
        )
        return self._replace(stream=stream, inside=inside, branch=branch)

    def finished(self, x: Tensor) -> Tensor:
        """The tokens after the block, [batch, tokens, width], with what acts on them."""
        return x if self.after is None else self.after.of_tokens(x)


class Joined(NamedTuple):
    """What a position embedding adds, and where; see `Terms`."""

    stem: Tensor | None
    blocks: list[BlockTerms]
    omega: Tensor | None


class PositionEmbedding(nn.Module):
    """The tables ω, the blocks' maps, and the modules that act in the blocks.

    `tables` holds one PE, one per block, or none; `maps` holds one map per block. A fixed PE is a frozen parameter, as
    in the published code, so that parameter counts and state dicts agree with it. `biases`, `rotations` and `outputs`
    hold the modules of each site: one per block, one for all blocks, or none.

    Args:
        position: the PE type.
        join: the joining method.
        grid: rows and columns of the patch tokens.
        prefix: the number of tokens before them.
        width: the tokens' channels.
        depth: the number of blocks.
        heads: of each block's attention.
        eps: of the model's norms, for the maps' norms.
        window: rows and columns of an attention window; None if attention sees the whole grid.
        carried: ω is an argument of each forward pass, from the stage before, and there is no table here.
        late: the number of first blocks that have no prefix tokens.
    """

    def __init__(
        self,
        position: Position,
        join: Join,
        *,
        grid: Grid,
        prefix: int,
        width: int,
        depth: int,
        heads: int,
        eps: float,
        window: Grid | None = None,
        carried: bool = False,
        late: int = 0,
    ) -> None:
        super().__init__()
        self.position = position
        self.join = join
        self.grid = grid
        self.prefix = prefix
        self.late = late
        self.heads = heads
        per_block = join.tables == "per_block"
        count = 0 if not position.absolute or (carried and not per_block) else depth if per_block else 1
        if position.table is None:  # learned: `initialise` draws it
            tables = [nn.Parameter(torch.zeros(1, prefix + grid[0] * grid[1], width)) for _ in range(count)]
        else:
            fixed = torch.tensor(position.table(grid, prefix, width)).unsqueeze(0)
            tables = [nn.Parameter(fixed, requires_grad=False) for _ in range(count)]
        self.tables = nn.ParameterList(tables)
        self.maps = nn.ModuleList(_block_map(join.block_map, width, eps) for _ in range(depth))
        places = [Place(window or grid, 0 if block < late else prefix, width, heads, block) for block in range(depth)]
        whole = [replace(place, grid=grid) for place in places]
        self.biases = self._modules_of(position.bias, ATTENTION_LOGITS, places)
        self.rotations = self._modules_of(position.rotation, QUERIES_AND_KEYS, places)
        self.outputs = self._modules_of(position.after, BLOCK_OUTPUT, whole)

    def _modules_of(self, code: str, site: str, places: Sequence[Place]) -> nn.ModuleList:
        if not code:
            return nn.ModuleList()
        made: type[Site] = resolve(code)
        count = self.position.modules_in(len(places), self.prefix, site)
        return nn.ModuleList(made(place) for place in places[: count if made.per_block else min(count, 1)])

    def forward(self, carried: Tensor | None = None) -> Joined:
        """What the joining method adds, and where. Computed once per forward pass, for all images of the batch.

        carried: ω of the stage before, [1, tokens, width], if this stage has no table of its own.
        """
        tables = list(self.tables) or ([] if carried is None else [carried])
        terms = self.join.terms(tables, list(self.maps))

        def of(values: Sequence[Tensor], block: int) -> Tensor | None:
            return values[block] if values else None

        blocks = [
            BlockTerms(of(terms.stream, block), of(terms.inside, block), of(terms.branch, block))
            for block in range(len(self.maps))
        ]
        if self.biases or self.rotations or self.outputs:
            blocks = [at._replace(**acts) for at, acts in zip(blocks, self._acting(), strict=True)]
        return Joined(terms.stem, blocks, terms.omega)

    def _acting(self) -> list[dict[str, Any]]:
        """What the modules do in each block, by the fields of `BlockTerms`."""
        acting: list[dict[str, Any]] = [{} for _ in self.maps]
        turns = partial(_turns, heads=self.heads)
        for kind, modules, finish in (("bias", self.biases, _padded), ("turn", self.rotations, turns)):
            made: dict[tuple[int, int], Tensor] = {}
            for block, module in self._by_block(modules):
                if isinstance(module, ContextualBias):
                    acting[block]["contextual"] = module
                    continue
                key = (id(module), 0 if block < self.late else self.prefix)
                if key not in made:
                    made[key] = finish(module(), key[1])
                acting[block][kind] = made[key]
        for block, module in self._by_block(self.outputs):
            acting[block]["after"] = module
        return acting

    def _by_block(self, modules: nn.ModuleList) -> Iterator[tuple[int, nn.Module]]:
        """The number of each block that a module acts in, and the module."""
        shared = len(modules) == 1 and not modules[0].per_block
        for block in range(len(self.maps) if shared and self.position.blocks == "all" else len(modules)):
            yield block, modules[0 if shared else block]

    def extra_repr(self) -> str:
        """For `print(model)`."""
        return f"pe={self.position.name}, join={self.join.name}"


def _padded(bias: Tensor, prefix: int) -> Tensor:
    """A bias of patches, [heads, patches, patches], with zeros for the prefix tokens."""
    return pad(bias, (prefix, 0, prefix, 0)) if prefix else bias


def _turns(angles: Tensor, prefix: int, heads: int) -> Tensor:
    """Cosine and sine of angles [..., patches, pairs]: [heads, tokens, pairs, 2]. Prefix tokens have angle 0.

    All heads of a token are neighbours in memory, as in queries and keys: that makes their product faster.
    """
    angles = pad(angles, (0, 0, prefix, 0)) if prefix else angles
    angles = angles * angles.new_ones(1, dtype=torch.float32)  # not in half precision
    turn = torch.stack([angles.cos(), angles.sin()], dim=-1).expand(heads, -1, -1, -1)
    return turn.transpose(0, 1).contiguous().transpose(0, 1)


class PositionMap(nn.Module):
    """A part of a LayerNorm: γ · Norm(ω) + β with or without the norm, γ (a scalar, or per channel) and β."""

    def __init__(self, spec: BlockMap, width: int, eps: float) -> None:
        super().__init__()
        self.spec = spec
        self.width = width
        self.eps = eps
        scales = {None: 0, "scalar": 1, "channel": width}[spec.scale]
        self.weight = nn.Parameter(torch.ones(scales)) if scales else None
        self.bias = nn.Parameter(torch.zeros(width)) if spec.shift else None

    def forward(self, omega: Tensor) -> Tensor:
        """[1, tokens, width] to the same."""
        if self.spec.norm:
            omega = layer_norm(omega, (self.width,), eps=self.eps)
        if self.weight is not None:
            omega = self.weight * omega
        return omega if self.bias is None else omega + self.bias


def _block_map(spec: BlockMap | None, width: int, eps: float) -> nn.Module:
    if spec is None:
        return nn.Identity()
    return nn.LayerNorm(width, eps=eps) if spec == LAYER_NORM else PositionMap(spec, width, eps)
