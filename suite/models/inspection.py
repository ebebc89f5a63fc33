"""The position correlation of a trained model's tokens, layer by layer: LaPE's Figures 1, 3 and 4.

The *positional term* of a block, [tokens, width], is the part of attention's input that comes from the position
embedding. Some joining methods add a term after the block's LayerNorm (LaPE: ω_{l+1}, Eq. 11). That term is then the
positional term. With the other methods, the position embedding ω passes through the LayerNorm together with the tokens
(Eq. 6–7): LN(x + ω) = γ (x - mean x) / σ + γ (ω - mean ω) / σ + β, with σ of the sum x + ω. The second summand is then
the positional term. The paper writes it as λ2 · LN(ω) with λ2 = σ_ω / σ. Two parts of it are left out here:

- 1/σ. It depends on the image, but it is one positive factor per token. The cosine of two tokens' terms doesn't depend
  on such factors, so no images are needed.
- β. It is the same for all tokens, whatever x and ω are. Counted as position, it would make all positions look similar.
  (LaPE's own β is part of ω_{l+1}, because LaPE's LayerNorm sees the position embedding alone.)

ω is tracked along the residual stream. Outputs of attention and MLP count as tokens. In a plain pre-norm model, ω
arrives at each block unchanged. Two layers rescale the stream: `norm2` in every block of Compact Transformers, and
patch merging in Swin. Each is a LayerNorm, followed in Swin by a linear map, so the same decomposition applies. The ω
of Eq. 6–7 is then ω after these layers, up to a positive factor per token.

If a method adds position embeddings both before and after such a layer, their relative scale depends on the image. It
is then computed with σ = 1, and the inspection is marked as approximate.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import cast

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

from suite.errors import InputError
from suite.models.backbone_size import body_of
from suite.models.embedding import PositionEmbedding
from suite.models.families.compact import CompactBlock
from suite.models.families.swin import PatchMerging, Swin, WindowAttention
from suite.models.families.transformer import VisionTransformer
from suite.models.layers.blocks import Block
from suite.models.model import Model
from suite.models.sizes import Grid
from suite.registry import resolve

Matrix = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Layer:
    """One matrix of one block, [H·W, H·W], over the patches of `grid`, (H, W), in row-major order."""

    name: str
    grid: Grid
    matrix: Matrix


@dataclass(frozen=True)
class Inspection:
    """The layers that have a positional term, and those whose attention has a bias.

    Attributes:
        correlations: per layer, the cosine similarities of all pairs of tokens' positional terms.
        biases: per layer, what a relative PE adds to the scaled products, queries by keys, averaged over heads. For
            window attention, the grid is that of one window.
        through_norm: whether the terms pass through the blocks' LayerNorms (Eq. 6–7).
        rescaled: whether a layer rescales ω on the residual stream.
        approximate: whether the terms' relative scale is approximate; see the module's docstring.
    """

    correlations: tuple[Layer, ...]
    biases: tuple[Layer, ...]
    through_norm: bool
    rescaled: bool
    approximate: bool


@torch.no_grad()
def inspect(model: Model) -> Inspection:
    """Compute the position correlation of each layer, in float64 on the CPU. The model isn't changed.

    Raises:
        InputError: the model has no position embedding, or its positional terms depend on the images or aren't finite.
    """
    model = copy.deepcopy(model).cpu().double().eval()
    stages = list(_stages(model))
    correlations, biases = [], []
    stream: Tensor | None = None  # the position's part of the residual stream
    omega: Tensor | None = None
    through_norm = rescaled = approximate = False
    for stage, (merge, position, blocks) in enumerate(stages, 1):
        joined = position(None if omega is None else merge(omega))
        omega = joined.omega
        if stream is not None and isinstance(merge, PatchMerging):
            stream, rescaled = _linear_part(merge)(stream), True
        approximate |= rescaled and joined.stem is not None
        stream = _sum(stream, joined.stem)
        for number, (block, at) in enumerate(zip(blocks, joined.blocks, strict=True), 1):
            name = f"layer {number}" if len(stages) == 1 else f"stage {stage}, layer {number}"
            approximate |= rescaled and (at.stream is not None or at.inside is not None)
            stream = _sum(stream, at.stream)
            seen = _sum(stream, at.inside)
            if seen is not None and at.branch is not None:
                raise _refusal("a position that joins before and after a LayerNorm: its term depends on the image")
            through_norm |= seen is not None
            term = at.branch if seen is None else _Summand(block.norm1)(seen)
            if term is not None:
                correlations.append(Layer(name, position.grid, _similarity(term[0, position.prefix :]).numpy()))
            if at.bias is not None:
                grid = _window(block, position)
                patches = grid[0] * grid[1]  # the last tokens; blocks before a late class token have no others
                biases.append(Layer(name, grid, at.bias[:, -patches:, -patches:].mean(0).numpy()))
            if stream is not None and at.after is not None:
                raise _refusal("a position that is in the residual stream, and one that acts on it after a block")
            if stream is not None and isinstance(block, CompactBlock):
                stream, rescaled = _Summand(block.norm2)(stream), True
    if not correlations and not biases:
        raise _refusal(
            "no position embedding that adds to the tokens, or adds the same to attention's logits for all images"
        )
    if not all(np.isfinite(layer.matrix).all() for layer in (*correlations, *biases)):
        raise _refusal("a position embedding of numbers that are not finite")
    return Inspection(tuple(correlations), tuple(biases), through_norm, rescaled, approximate)


def _stages(model: Model) -> Iterator[tuple[nn.Module, PositionEmbedding, list[Block]]]:
    """Each stage's merging layer, position embedding and blocks."""
    if isinstance(model, Swin):
        for merge, position, blocks in zip(model.merges, model.position, model.stages, strict=True):
            yield merge, cast(PositionEmbedding, position), cast(list[Block], list(cast(nn.ModuleList, blocks)))
    elif isinstance(model, VisionTransformer):
        yield nn.Identity(), model.position, cast(list[Block], list(model.blocks))
    elif body_of(model.architecture).family.name == "timm":
        position = resolve("suite.models.timm_inspection:TimmPosition")(model.network)
        yield nn.Identity(), position, cast(list[Block], list(position.network.blocks))
    else:
        raise _refusal("no tokens, and so no position")


class _Summand(nn.Module):
    """γ · (ω - mean ω): one summand's part of a LayerNorm's output, without the division by σ and without β."""

    def __init__(self, norm: nn.Module) -> None:
        super().__init__()
        if not isinstance(norm, nn.LayerNorm):
            raise _refusal(f"a position that goes through a {type(norm).__name__}, which is no LayerNorm as in Eq. 6–7")
        self.weight = norm.weight

    def forward(self, x: Tensor) -> Tensor:
        """Map [1, tokens, width] to the same shape."""
        return self.weight * (x - x.mean(-1, keepdim=True))


def _linear_part(merge: PatchMerging) -> PatchMerging:
    """A copy of a patch-merging layer whose LayerNorm is replaced by `_Summand`."""
    linear = copy.deepcopy(merge)
    linear.norm = _Summand(merge.norm)  # type: ignore[assignment]
    return linear


def _sum(first: Tensor | None, second: Tensor | None) -> Tensor | None:
    return second if first is None else first if second is None else first + second


def _similarity(terms: Tensor) -> Tensor:
    """The cosine similarities of all pairs of rows of [tokens, width]; 0 where a row is 0."""
    unit = normalize(terms, dim=1)
    return unit @ unit.T


def _window(block: Block, position: PositionEmbedding) -> Grid:
    attention = getattr(block, "attention", None)
    return (attention.window, attention.window) if isinstance(attention, WindowAttention) else position.grid


def _refusal(reason: str) -> InputError:
    return InputError(
        "the position correlation of this model can't be drawn",
        expected="a model with a position embedding that joins as in LaPE's Eq. 1–11",
        found=reason,
        fix="inspect a model with another pe or join",
    )


# ── statistics of a layer, for tables ────────────────────────────────────────────────────────────────


def token_map(layer: Layer, token: Grid) -> Matrix:
    """The matrix row of the token at (row, column), reshaped to the grid: [H, W]."""
    row, column = token
    of_token: Matrix = layer.matrix[row * layer.grid[1] + column].reshape(layer.grid)
    return of_token


def neighbours(layer: Layer) -> float:
    """The mean over pairs of tokens that are adjacent in a row or column; NaN if there are none."""
    rows, columns = layer.grid
    token = np.arange(rows * columns).reshape(rows, columns)
    beside, below = layer.matrix[token[:, 1:], token[:, :-1]], layer.matrix[token[1:], token[:-1]]
    return _mean(np.concatenate([beside.ravel(), below.ravel()]))


def all_pairs(layer: Layer) -> float:
    """The mean over all pairs of two different tokens; NaN if there are none."""
    return _mean(layer.matrix[~np.eye(len(layer.matrix), dtype=bool)])


def difference(layer: Layer, other: Layer) -> float:
    """The mean absolute difference between two layers' matrices over all pairs of two different tokens."""
    off_diagonal = ~np.eye(len(layer.matrix), dtype=bool)
    return _mean(np.abs(layer.matrix - other.matrix)[off_diagonal])


def _mean(values: Matrix) -> float:
    return float(values.mean()) if values.size else math.nan
