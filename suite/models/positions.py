"""The position embeddings (PE): what each does, and its table where that is fixed.

A PE acts at one or several sites of a model: it adds to the tokens (this is what joining methods are about), adds to
attention's logits, turns queries and keys, or acts on the tokens after a block. The modules of the last three are in
`suite.models.sites`. Nothing here imports torch, so that a grid can be planned and its results read without it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from suite.models.levels import Cell, Level, Refusal
from suite.models.sizes import Size, WindowSize
from suite.registry import Registry

if TYPE_CHECKING:
    import numpy as np  # imported by what makes a table: a grid is listed without it
    import numpy.typing as npt

    Table = npt.NDArray[np.float32]

TOKENS = "tokens"
ATTENTION_LOGITS = "attention_logits"
QUERIES_AND_KEYS = "queries_and_keys"
BLOCK_OUTPUT = "block_output"
SITES = (TOKENS, ATTENTION_LOGITS, QUERIES_AND_KEYS, BLOCK_OUTPUT)


@dataclass(frozen=True)
class Position(Level):
    """A PE type.

    Modules are given as "module:class" of a class in `suite.models.sites.site`, and imported when a model is built.

    Attributes:
        absolute: a vector is added to each token.
        learnable: that vector is learned.
        table: makes the vectors of a fixed PE, [tokens, width], from (grid rows, grid columns), the number of prefix
            tokens and the width.
        width_multiple: the model's width must be divisible by it.
        bias: the module that adds to attention's logits.
        rotation: the module whose angles turn queries and keys.
        after: the module that acts on the tokens after a block.
        blocks: whether the modules are in all blocks, or in the first block of each stage.
        head_multiple: the width of an attention head must be divisible by it.
        of_offsets: it has no effect on a single patch.
        equation: what it computes, for people.
        prefix_tokens: what it does with the class token and other prefix tokens, for people.
    """

    name: str
    summary: str
    source: str
    absolute: bool = True
    learnable: bool = False
    table: Callable[[tuple[int, int], int, int], Table] | None = None
    width_multiple: int = 1
    bias: str = ""
    rotation: str = ""
    after: str = ""
    blocks: Literal["all", "first"] = "all"
    head_multiple: int = 1
    of_offsets: bool = False
    equation: str = ""
    prefix_tokens: str = ""

    @property
    def sites(self) -> tuple[str, ...]:
        """Where it acts, in the order of `SITES`."""
        acts = (self.absolute, self.bias, self.rotation, self.after)
        return tuple(site for site, used in zip(SITES, acts, strict=True) if used)

    @property
    def description(self) -> str:
        """The PE in one line, with its equation."""
        return f"{self.summary}: {self.equation} [{self.source}]" if self.equation else super().description

    def modules_in(self, depth: int, prefix: int, site: str) -> int:
        """In how many first blocks of a stage its module of a site is.

        What acts after the last block isn't read if the head reads prefix tokens alone, so there is no module.

        Args:
            depth: the blocks of the stage.
            prefix: the number of prefix tokens.
            site: one of `SITES` that it acts at.
        """
        most = 1 if self.blocks == "first" else depth
        return min(most, depth - 1) if site == BLOCK_OUTPUT and prefix else most

    def refuses(self, cell: Cell) -> Refusal | None:
        """The model must have the PE's sites; some PEs need a width, or a width of heads, that is divisible."""
        arch, size = cell.arch, cell.arch.size
        if missing := [site for site in self.sites if site not in arch.family.sites]:
            had = ", ".join(arch.family.sites) or "none"
            return Refusal(
                f"pe {self.name!r} acts at {' and '.join(missing)}, a site that arch {arch.name} doesn't have",
                "",
                f"a pe whose sites the architecture has: {had}",
            )
        if not isinstance(size, Size):
            return None
        if (reason := self.refuses_width(size.embed_dim)) is not None:
            expected = f"a width divisible by {self.width_multiple}"
            return Refusal(reason, "change embed_dim", expected, f"embed_dim {size.embed_dim} of {arch.name}")
        for stage, heads in enumerate(size.heads()):
            if (head := size.embed_dim * 2**stage // heads) % self.head_multiple:
                return Refusal(
                    f"pe {self.name!r} needs attention heads whose width is divisible by {self.head_multiple}",
                    "change embed_dim or num_heads",
                    f"embed_dim / num_heads divisible by {self.head_multiple}",
                    f"heads of {head} channels in {arch.name}" + (f", stage {stage + 1}" if stage else ""),
                )
        if self.after and not any(self.modules_in(depth, arch.family.prefix, BLOCK_OUTPUT) for depth in size.depths()):
            return Refusal(
                f"pe {self.name!r} acts on patches after a block, and after its only block arch {arch.name} reads none",
                "raise depth",
                "a depth of at least 2",
            )
        if self.of_offsets and _most_patches(size, cell.image_size) == 1:
            return Refusal(
                f"pe {self.name!r} is about offsets between patches, and attention of arch {arch.name} sees one patch",
                "choose larger images or smaller patches",
                "at least 2 patches",
            )
        return None

    def refuses_width(self, width: int) -> str | None:
        """Why this PE can't be built for tokens of this width; None if it can."""
        if width % self.width_multiple:
            return f"pe {self.name!r} needs a width divisible by {self.width_multiple}, but embed_dim is {width}"
        return None


def _most_patches(size: Size, image_size: int) -> int:
    """The most patches that attention sees at once, in any stage."""
    window = size.window_size**2 if isinstance(size, WindowSize) else None
    grids = size.stage_grids(image_size)
    return max(rows * columns if window is None else min(window, rows * columns) for rows, columns in grids)


def sin1d(grid: tuple[int, int], prefix: int, width: int) -> Table:
    """The 1-D sinusoid over the token sequence; a class token is position 0.

    Angle p / 10000^(2⌊i/2⌋ / width) at position p and channel i; sine in even channels, cosine in odd ones.
    """
    import numpy as np

    tokens = prefix + grid[0] * grid[1]
    channel = np.arange(width)
    angle = np.arange(tokens)[:, None] / 10000.0 ** (2 * (channel // 2) / width)
    return np.where(channel % 2 == 0, np.sin(angle), np.cos(angle)).astype(np.float32)


def sin2d(grid: tuple[int, int], prefix: int, width: int) -> Table:
    """The 2-D sinusoid: the first half of the channels encodes the column, the second half the row.

    Within a half of w channels, sine (even) and cosine (odd) of p · 10000^(-2k/w), k = 0, 1, …; the
    prefix tokens' rows are zero.
    """
    import numpy as np

    rows, columns = grid
    half = width // 2
    frequency = 10000.0 ** (-np.arange(0, half, 2) / half)

    def encode(positions: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
        angle = positions[:, None] * frequency
        return np.stack([np.sin(angle), np.cos(angle)], axis=2).reshape(len(positions), half)

    row, column = (axis.ravel() for axis in np.mgrid[:rows, :columns])
    patches = np.concatenate([encode(column), encode(row)], axis=1)
    return np.concatenate([np.zeros((prefix, width)), patches]).astype(np.float32)


POSITIONS: Registry[Position] = Registry("pe")

_ROPE_VIT = "RoPE-ViT (arXiv 2403.13298)"
_UNBIASED = "no bias"
_IN_BLOCKS = (
    Position(
        "rpe2d",
        "a learned bias of attention per head, layer and 2-D offset; nothing is added to tokens",
        "Swin (arXiv 2103.14030) Eq. 4",
        absolute=False,
        bias="suite.models.sites.bias:RelativeBias",
        equation="q_i·k_j / √d + B[y_i − y_j, x_i − x_j]",
        prefix_tokens=_UNBIASED,
    ),
    Position(
        "rope2d",
        "queries and keys turned by angles of the column (half of the channels) and the row",
        _ROPE_VIT,
        absolute=False,
        rotation="suite.models.sites.rotary:AxialRotation",
        head_multiple=4,
        of_offsets=True,
        equation="channel pairs of q and k times e^(iθ_t x) or e^(iθ_t y), θ_t = 100^(−4t/d), t = 0 … d/4 − 1",
        prefix_tokens="not turned",
    ),
    Position(
        "rope_mixed",
        "queries and keys turned by learned frequencies of each head and layer",
        _ROPE_VIT,
        absolute=False,
        rotation="suite.models.sites.rotary:MixedRotation",
        head_multiple=4,
        of_offsets=True,
        equation="channel pairs of q and k times e^(i(θ_t^x x + θ_t^y y)), θ^x and θ^y learned",
        prefix_tokens="not turned",
    ),
    Position(
        "alibi2d",
        "a fixed bias of attention: the distance of two patches, with a slope for each head",
        "CROMA (arXiv 2311.00566), after ALiBi (arXiv 2108.12409)",
        absolute=False,
        bias="suite.models.sites.bias:DistanceBias",
        of_offsets=True,
        equation="q_i·k_j / √d − s_h √((y_i − y_j)² + (x_i − x_j)²), s_h = 2^(−8h/n) of head h = 1 … n",
        prefix_tokens=_UNBIASED,
    ),
    Position(
        "irpe_product",
        "a learned vector of each bucket of 2-D offsets, which meets the query",
        "iRPE (arXiv 2107.14222), contextual, product, on keys",
        absolute=False,
        bias="suite.models.sites.bias:ProductBias",
        equation="q_i·(k_j + r[g(y_i − y_j), g(x_i − x_j)]) / √d, g piecewise with α, β, γ = 1.9, 3.8, 15.2",
        prefix_tokens="all pairs with one have the same vector, of their own",
    ),
    Position(
        "cpe",
        "a depthwise 3×3 convolution of the patches, added after the first block",
        "CPVT (arXiv 2102.10882)",
        absolute=False,
        after="suite.models.sites.convolution:PositionGenerator",
        blocks="first",
        equation="x + conv(x), zeros around the grid",
        prefix_tokens="as they are",
    ),
)
_WITH_LEARNABLE = {"rpe2d": ("a learned vector per token, and rpe2d's bias", "LaPE (ICCV 2023) Table 1")}

for _position in (
    Position("none", "no position embedding at all", "ablation", absolute=False, equation="x", prefix_tokens="nothing"),
    Position(
        "learnable",
        "a learned vector per token",
        "ViT (arXiv 2010.11929) §3.1",
        learnable=True,
        equation="x + ω, or as the joining method has it",
        prefix_tokens="each has its own vector",
    ),
    Position(
        "sin1d",
        "fixed 1-D sinusoid over the token sequence",
        "Transformer (arXiv 1706.03762) §3.5",
        table=sin1d,
        equation="ω_p = sin or cos of p / 10000^(2⌊i/2⌋/C)",
        prefix_tokens="the first positions of the sequence",
    ),
    Position(
        "sin2d",
        "fixed 2-D sinusoid over rows and columns",
        "MoCo v3 (arXiv 2104.02057)",
        table=sin2d,
        width_multiple=4,
        equation="half of the channels sin and cos of x / 10000^(4k/C), half of y",
        prefix_tokens="zeros",
    ),
    *(
        level
        for alone in _IN_BLOCKS
        for level in (
            alone,
            replace(
                alone,
                name=f"learnable+{alone.name}",
                summary=_WITH_LEARNABLE.get(alone.name, (f"a learned vector per token, and {alone.name}",))[0],
                source=_WITH_LEARNABLE.get(alone.name, ("", alone.source))[1],
                absolute=True,
                learnable=True,
                equation=f"learnable's, and {alone.name}'s",
                prefix_tokens=f"learnable's, and {alone.name}'s",
            ),
        )
    ),
):
    POSITIONS.register(_position.name, _position)


def relative_index(grid: tuple[int, int]) -> npt.NDArray[np.int64]:
    """The row of a bias table [(2H-1)(2W-1), heads] for each query and key of H×W patches, [HW, HW].

    (y_q - y_k + H - 1)(2W - 1) + (x_q - x_k + W - 1): Swin (arXiv 2103.14030) §3.2, as LaPE's release has it.
    """
    import numpy as np

    rows, columns = grid
    y, x = (axis.ravel() for axis in np.mgrid[:rows, :columns])
    index: npt.NDArray[np.int64] = (y[:, None] - y + rows - 1) * (2 * columns - 1) + (x[:, None] - x + columns - 1)
    return index
