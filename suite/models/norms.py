"""The levels of the norm axis. Only facts: the modules are in `suite.models.normalisers`.

Nothing here imports torch, so that a grid can be planned and its results read without it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from suite.models.levels import Cell, Level, Refusal
from suite.models.sizes import AnySize, Grid, NormPlace, Size
from suite.registry import Registry

if TYPE_CHECKING:
    from suite.models.architectures import Architecture

PLAIN_BLOCKS = 2  # the last blocks of a transformer keep LayerNorm whatever the norm, as in DTN's release
# Those that normalise a token by itself. Of the others, and of norms from outside, each token may depend on all.
ONE_TOKEN = frozenset({"ln", "scalenorm", "rmsnorm", "dyt"})
POOLED_SIDE = 14  # DTN pools a larger grid of tokens to about this many cells a side


@dataclass(frozen=True)
class Norm(Level):
    """A normalisation.

    In a transformer it replaces LayerNorm before attention and before the MLP, in the blocks that `where` says. The
    norms of the tokenizer and of patch merging stay. In a convolutional network it replaces every BatchNorm.

    Attributes:
        equation: its output for x. Tokens are [images, tokens, C], maps [images, C, H, W]; var is biased.
        tokens: "module:class" for tokens, imported when a model is built; "" if it can't normalise tokens.
        maps: the same for feature maps.
        grid: its tokens must fill a grid. So the class token and the distillation token join after its blocks.
        where: where it is published to stand: "inner" for all blocks but the last `PLAIN_BLOCKS`, "blocks" for all
            blocks, "all" for all blocks and the norm before the head. A norm of a grid is "inner". The size of an
            architecture can place it elsewhere (`norm_where`).
    """

    name: str
    summary: str
    equation: str
    source: str
    tokens: str = ""
    maps: str = ""
    grid: bool = False
    where: NormPlace = "inner"

    def placed(self, size: AnySize) -> Norm:
        """The norm where a model of that size has it."""
        where = getattr(size, "norm_where", None) or self.where
        return self if where == self.where else replace(self, where=where)

    @property
    def one_token(self) -> bool:
        """Whether a token is known to be normalised by itself."""
        return self.name in ONE_TOKEN

    @property
    def plain_blocks(self) -> int:
        """How many of the last blocks keep LayerNorm."""
        return PLAIN_BLOCKS if self.where == "inner" else 0

    @property
    def compared_with(self) -> str:
        """The norm that such networks have as published."""
        return "ln" if self.tokens else "bn"

    @property
    def description(self) -> str:
        """The norm in one line, with its equation."""
        return f"{self.summary}: {self.equation} [{self.source}]"

    def refuses(self, cell: Cell) -> Refusal | None:
        """Token norms are for transformers, map norms for convolutional networks; some need a grid of tokens."""
        reason = self.placed(cell.arch.size)._unfit(cell.arch, cell.image_size)
        return None if reason is None else Refusal(reason)

    def _unfit(self, architecture: Architecture, image_size: int) -> str | None:
        size = architecture.size
        if not isinstance(size, Size):
            unfit = f"norm {self.name!r} is of tokens, and {architecture.name} is a convolutional network"
            return None if self.maps else unfit
        if not self.tokens:
            return f"norm {self.name!r} is of feature maps, and {architecture.name} is a transformer"
        if self.name == "ln":
            return None
        if sum(size.depths()) <= self.plain_blocks:
            return (
                f"norm {self.name!r} leaves the last {PLAIN_BLOCKS} blocks as they are, "
                f"and {architecture.name} has no more than {sum(size.depths())}"
            )
        if self.grid and architecture.family.prefix_in_each_block:
            return (
                f"norm {self.name!r} needs tokens that fill a grid, "
                f"and in {architecture.name} the class token is among them in every block"
            )
        if self.name == "in" and self.where == "all" and architecture.family.prefix_in_each_block:
            return f"norm 'in' takes its statistics over tokens, and before the head {architecture.name} has one"
        if self.grid and self.where != "inner" and architecture.family.prefix:
            return (
                f"norm {self.name!r} needs tokens that fill a grid, "
                f"and in {architecture.name} the class token is among them in the last {PLAIN_BLOCKS} blocks"
            )
        for grid, count in normalised_blocks(size, image_size, self):
            tokens = grid[0] * grid[1] + (0 if self.grid else architecture.family.prefix)
            if count and (reason := unfit_tokens(self, grid, tokens, architecture.name)):
                return reason
        return None


def unfit_tokens(norm: Norm, grid: Grid, tokens: int, name: str) -> str | None:
    """Why a norm can't be of so many tokens, patches on a grid and others; None if it can.

    Args:
        norm: the norm.
        grid: rows and columns of the patches.
        tokens: the number of tokens that it normalises.
        name: the model, for the message.
    """
    if norm.name == "in" and tokens == 1:
        return f"norm 'in' takes its statistics over tokens, and {name} has one"
    if norm.grid and any(side % pooling(grid) for side in grid):
        return (
            f"norm {norm.name!r} pools a grid of {grid[0]}×{grid[1]} tokens by {pooling(grid)}, which doesn't divide it"
        )
    return None


def normalised_blocks(size: Size, image_size: int, norm: Norm) -> Iterator[tuple[Grid, int]]:
    """The token grid of each stage, and how many of its first blocks have the norm of the norm axis."""
    left = sum(size.depths()) - norm.plain_blocks
    for grid, depth in zip(size.stage_grids(image_size), size.depths(), strict=True):
        yield grid, max(0, min(left, depth))
        left -= depth


def pooling(grid: Grid) -> int:
    """How many tokens a side DTN pools to one cell: 1 up to 27×27 tokens, 2 at 28×28, 4 at 56×56 (DTN's release)."""
    return max(1, max(grid) // POOLED_SIDE)


NORMS: Registry[Norm] = Registry("norm")

_DTN = "DTN (arXiv 2112.02624)"
_DTN_RELEASE = "released code of DTN (arXiv 2112.02624)"

_AFFINE = "γ ⊙ (x − μ) / √(v + ε) + β"

for _norm in (
    Norm("ln", "LayerNorm, with the eps of the architecture",
         f"{_AFFINE}; μ, v = mean, var over a token's C channels", "LayerNorm (arXiv 1607.06450)",
         "torch.nn:LayerNorm"),
    Norm("dtn", "LayerNorm's statistics mixed with those over tokens nearby, per head",
         f"{_AFFINE}; of head h μ = λ μ_ln + (1 − λ) P x, v = λ v_ln + (1 − λ) [P (x ⊙ x) − (P x) ⊙ (P x)]; "
         "P = softmax(R a), R = [dx, dy, dx² + dy²] between tokens, λ a sigmoid",
         _DTN, "suite.models.normalisers.dtn:DynamicTokenNorm", grid=True),
    Norm("dtn_release", "dtn with a division by each head's root mean square before it, the unbiased variance, a gate "
         "each for mean and variance, and no local start",
         "dtn of x / √(mean over a head's channels of x² + ε), with v_ln unbiased, λ_μ and λ_v, and R a + b",
         _DTN_RELEASE, "suite.models.normalisers.dtn:ReleasedDynamicTokenNorm", grid=True),
    Norm("dtn_variance", "dtn_release with LayerNorm's mean: only the variance is taken over tokens",
         "dtn_release with λ_μ = 1", _DTN_RELEASE, "suite.models.normalisers.dtn:DynamicVarianceNorm", grid=True),
    Norm("bn", "BatchNorm: each channel over images and tokens (or pixels), with running statistics in evaluation",
         f"{_AFFINE}; μ, v = mean, var over images and tokens (or H, W)", "BatchNorm (arXiv 1502.03167)",
         "suite.models.normalisers.plain:BatchNorm", "torch.nn:BatchNorm2d"),
    Norm("in", "InstanceNorm: each image and channel over tokens",
         f"{_AFFINE}; μ, v = mean, var over an image's tokens",
         "InstanceNorm (arXiv 1607.08022)", "suite.models.normalisers.plain:InstanceNorm"),
    Norm("gn", "GroupNorm: each image and head over tokens and the head's channels",
         f"{_AFFINE}; μ, v = mean, var over an image's tokens and a head's channels", "GroupNorm (arXiv 1803.08494)",
         "suite.models.normalisers.plain:GroupNorm"),
    Norm("scalenorm", "each token at one learned length", "g x / max(‖x‖₂, ε) of each token, g a learned number",
         "ScaleNorm (arXiv 1910.05895)", "suite.models.normalisers.plain:ScaleNorm"),
    Norm("powernorm", "each channel by a running mean of squares, in the gradient too",
         "γ ⊙ x / √(ψ² + ε) + β; ψ² = 0.9 ψ² + 0.1 · mean over images and tokens of x², of the steps before",
         "PowerNorm (arXiv 2003.07845) Algorithm 2", "suite.models.normalisers.plain:PowerNorm"),
    Norm("switchable", "statistics mixed of InstanceNorm's, LayerNorm's and BatchNorm's, with learned shares",
         f"{_AFFINE}; μ = Σ w_k μ_k, v = Σ w'_k v_k over k = in, ln, bn, with w and w' softmaxes",
         "Switchable Normalization (arXiv 1806.10779)", "suite.models.normalisers.plain:SwitchableNorm"),
    Norm("rmsnorm", "each token by its root mean square, without a mean and a bias",
         "γ ⊙ x / √(mean over a token's C channels of x² + ε)", "RMSNorm (arXiv 1910.07467)",
         "suite.models.normalisers.statistics_free:RMSNorm", where="all"),
    Norm("dyt", "Dynamic Tanh: no statistics at all", "γ ⊙ tanh(α x) + β, α a learned number, at first 0.5",
         "DyT (arXiv 2503.10622)", "suite.models.normalisers.statistics_free:DynamicTanh", where="all"),
    Norm("l2bn", "bn of each image's features divided by their length",
         "bn(x / max(‖x‖₂, 10⁻¹²)), ‖x‖₂ over an image's C, H, W", "L2BN (arXiv 2207.02625)",
         maps="suite.models.normalisers.l2bn:L2BatchNorm"),
    Norm("l2bn_rms", "bn of each image's features divided by their root mean square: l2bn at bn's scale",
         "bn(√(C H W) x / max(‖x‖₂, 10⁻¹²))", "L2BN (arXiv 2207.02625), rescaled",
         maps="suite.models.normalisers.l2bn:RootMeanSquareBatchNorm"),
):  # fmt: skip
    NORMS.register(_norm.name, _norm)
