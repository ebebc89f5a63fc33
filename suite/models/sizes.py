"""The sizes of each kind of model, and their checks. Only facts: the modules are elsewhere.

Nothing here imports torch, so that a grid can be planned and its results read without it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal, NamedTuple, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from suite.errors import InputError
from suite.store.canonical import resolved_values

if TYPE_CHECKING:
    from suite.models.levels import Cell, Refusal

Grid = tuple[int, int]  # rows and columns
# The blocks of a transformer that have the norm of the norm axis: all but the last two; all; all, and before the head.
NormPlace = Literal["inner", "blocks", "all"]


class PatchTokens(NamedTuple):
    """The patch tokens of a model at each of its stages.

    Args:
        grids: rows and columns of the tokens in each stage.
        depths: how many blocks of each stage `Model.forward` can watch.
        width: the channels of the last stage's tokens.
    """

    grids: Sequence[Grid]
    depths: Sequence[int]
    width: int


class AnySize(BaseModel):
    """The sizes of any architecture."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)

    judged: ClassVar[frozenset[str]] = frozenset()  # axes whose levels `refuses` is asked about, instead of the levels

    def canonical(self) -> dict[str, Any]:
        """The values that enter a trial's id."""
        return resolved_values(self)

    @property
    def usual_norm(self) -> str | None:
        """The norm that a model of this size has as published; None: its family's."""
        return None

    def patch_tokens(self, image_size: int) -> PatchTokens | None:
        """The patch tokens that a model of this size can show; None if it has none."""
        return None

    def refuses(self, axis: str, cell: Cell) -> Refusal | None:
        """Why a model of this size can't have the cell's level on an axis (`arch`, or one of `judged`)."""
        return None

    @property
    def width(self) -> int | None:
        """The channels of the tokens of the first stage; None for a model without tokens."""
        return None

    def check(self, image_size: int) -> None:
        """Raise `InputError` if no model of this size can be built for that image size."""


class Size(AnySize):
    """What every transformer here is sized by. Widths are channels; mlp_ratio is hidden / embed_dim."""

    embed_dim: int = Field(ge=1, description="channels of a token; of a pyramid, in its first stage")
    mlp_ratio: float = Field(gt=0, description="hidden channels of the MLP over embed_dim")
    qkv_bias: bool = Field(description="whether queries, keys and values have a bias")
    norm_eps: float = Field(gt=0, description="ε of the norms")
    drop_path: float = Field(ge=0, lt=1, description="stochastic depth: the rate of the last block; it grows linearly")
    attn_drop: float = Field(ge=0, lt=1, description="dropout of attention weights")
    # Added when results existed: at these values they are in no id.
    talking_heads: bool = Field(
        default=False,
        description="mix attention's heads before and after the softmax (arXiv 2003.02436)",
        json_schema_extra={"neutral": False},
    )
    head_drop: float = Field(
        default=0.0, ge=0, lt=1, description="dropout before the class head", json_schema_extra={"neutral": 0.0}
    )
    position_std: float | None = Field(
        default=None,
        gt=0,
        description="standard deviation of a learned PE's first values; null: that of the family",
        json_schema_extra={"neutral": None},
    )
    norm_where: NormPlace | None = Field(
        default=None,
        description="blocks with the norm of the norm axis: but the last two, all, or all and before the head",
        json_schema_extra={"neutral": None},
    )

    @property
    def width(self) -> int:
        """embed_dim."""
        return self.embed_dim

    def heads(self) -> Sequence[int]:
        """The number of heads of each stage; a model without stages is one."""
        raise NotImplementedError

    def depths(self) -> Sequence[int]:
        """The number of blocks of each stage."""
        raise NotImplementedError

    def token_grid(self, image_size: int) -> Grid:
        """Rows and columns of the patch tokens of a square image; raises `InputError` if there are none."""
        raise NotImplementedError

    def stage_grids(self, image_size: int) -> list[Grid]:
        """Rows and columns of the tokens in each stage; raises `InputError` if there are none."""
        return [self.token_grid(image_size)]

    def patch_tokens(self, image_size: int) -> PatchTokens:
        """Those of each stage; the width doubles from stage to stage."""
        grids = self.stage_grids(image_size)
        return PatchTokens(grids, self.depths(), self.embed_dim * 2 ** (len(grids) - 1))

    def check(self, image_size: int) -> None:
        """Raise `InputError` if no model of this size can be built for that image size."""
        for stage, heads in enumerate(self.heads()):
            if (width := self.embed_dim * 2**stage) % heads:
                raise InputError(
                    "the width must be divisible by the number of heads",
                    expected=f"embed_dim divisible by num_heads ({heads})",
                    found=f"embed_dim {width}" + (f" in stage {stage + 1}" if stage else ""),
                    fix="change embed_dim or num_heads",
                )
        if int(self.embed_dim * self.mlp_ratio) < 1:
            raise InputError(
                "the MLP has no hidden channel",
                expected="embed_dim × mlp_ratio of at least 1",
                found=f"embed_dim {self.embed_dim}, mlp_ratio {self.mlp_ratio}",
                fix="raise mlp_ratio",
            )
        self.token_grid(image_size)


class PlainSize(Size):
    """A size whose blocks are all alike."""

    depth: int = Field(ge=1, description="blocks")
    num_heads: int = Field(ge=1, description="attention heads of a block")

    def heads(self) -> Sequence[int]:
        """One stage."""
        return (self.num_heads,)

    def depths(self) -> Sequence[int]:
        """One stage."""
        return (self.depth,)


def _patches(side: int, patch_size: int, what: str) -> Grid:
    if side % patch_size:
        raise InputError(
            "the image size must be divisible by the patch size",
            expected=f"an image size divisible by patch_size ({patch_size})",
            found=what,
            fix="change patch_size, or choose another data set",
        )
    return side // patch_size, side // patch_size


def _no_token(tokenizer: str, image_size: int, fix: str) -> InputError:
    return InputError(
        "the convolutions leave no token",
        expected="a feature map of at least 1×1 after the tokenizer",
        found=f"{tokenizer} on images of {image_size}×{image_size} pixels",
        fix=fix,
    )


def _slide(side: int, kernel: int, stride: int, padding: int) -> int:
    """The side of a map after a convolution, a pooling or an unfolding."""
    return (side + 2 * padding - kernel) // stride + 1


class PatchSize(PlainSize):
    """A size whose tokens are square patches that don't overlap."""

    patch_size: int = Field(ge=1, description="pixels on each side of a patch")

    def token_grid(self, image_size: int) -> Grid:
        """Patches per column and row."""
        return _patches(image_size, self.patch_size, f"images of {image_size}×{image_size} pixels")


class ConvolutionSize(PlainSize):
    """A size whose tokens are the pixels of a feature map: conv_layers × (convolution, ReLU, max-pool)."""

    conv_kernel: int = Field(ge=1, description="kernel of the tokenizer's convolutions")
    conv_stride: int = Field(ge=1, description="their stride")
    conv_padding: int = Field(ge=0, description="their padding")
    conv_layers: int = Field(ge=1, description="how many there are, each followed by a max-pool")

    def token_grid(self, image_size: int) -> Grid:
        """Rows and columns of the feature map."""
        side = image_size
        for _ in range(self.conv_layers):
            side = _slide(side, self.conv_kernel, self.conv_stride, self.conv_padding)
            side = _slide(side, 3, 2, 1)  # the max-pool
            if side < 1:
                raise _no_token(
                    f"{self.conv_layers} layers of kernel {self.conv_kernel}, stride {self.conv_stride}",
                    image_size,
                    "use fewer conv_layers, a smaller conv_kernel or a smaller conv_stride",
                )
        return side, side


class TokensToTokenSize(PlainSize):
    """A size whose tokens come of three unfoldings, with two Performer blocks of width token_dim between them."""

    token_dim: int = Field(default=64, ge=2, description="channels of a token before the backbone")

    def unfolded(self, image_size: int) -> tuple[int, int, int]:
        """The side of the token map after each unfolding."""
        sides = [_slide(image_size, 7, 4, 2)]
        for _ in range(2):
            sides.append(_slide(sides[-1], 3, 2, 1))
        if sides[0] < 1:
            raise _no_token("an unfolding of kernel 7, stride 4", image_size, "choose a data set of larger images")
        return sides[0], sides[1], sides[2]

    def token_grid(self, image_size: int) -> Grid:
        """Rows and columns after the last unfolding."""
        side = self.unfolded(image_size)[-1]
        return side, side


class StemSize(PlainSize):
    """A size whose tokens are patches of a convolutional stem's map, a quarter of the image's side (CeiT)."""

    patch_size: int = Field(default=4, ge=1, description="pixels on each side of a patch of the stem's output")

    def token_grid(self, image_size: int) -> Grid:
        """Patches per column and row of the stem's map."""
        side = _slide(_slide(image_size, 7, 2, 3), 3, 2, 1)
        return _patches(side, self.patch_size, f"a stem's map of {side}×{side}, of images of {image_size} pixels")


class WindowSize(Size):
    """The sizes of a model in stages (Swin): attention in windows, and between stages patches are merged 2×2.

    Each merging doubles the width. stage_position says what becomes of an absolute PE after it. "merge": it is merged
    by the weights that merge the tokens. "own": each stage has its own PE. "first": only the first stage has one.
    """

    depth: tuple[int, ...] = Field(strict=False, min_length=1, description="blocks of each stage")
    num_heads: tuple[int, ...] = Field(strict=False, min_length=1, description="attention heads of each stage")
    patch_size: int = Field(ge=1, description="pixels on each side of a patch")
    window_size: int = Field(ge=1, description="tokens on each side of an attention window")
    stage_position: Literal["merge", "own", "first"] = Field(
        default="merge", description="an absolute PE in later stages: merged as the tokens are, one for each, or none"
    )

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if len(self.depth) != len(self.num_heads):
            raise ValueError(f"depth has {len(self.depth)} stages, but num_heads has {len(self.num_heads)}")
        if min(*self.depth, *self.num_heads, 1) < 1:
            raise ValueError("depth and num_heads must be at least 1 in each stage")
        return self

    def heads(self) -> Sequence[int]:
        """A number for each stage."""
        return self.num_heads

    def depths(self) -> Sequence[int]:
        """A number for each stage."""
        return self.depth

    def stage_grids(self, image_size: int) -> list[Grid]:
        """Rows and columns of the tokens in each stage; raises `InputError` if windows or mergings don't fit."""
        side, _ = _patches(image_size, self.patch_size, f"images of {image_size}×{image_size} pixels")
        grids = []
        for stage in range(len(self.depth)):
            if stage:
                if side % 2:
                    raise InputError(
                        "patches are merged two by two",
                        expected="an even number of tokens per row before each of the later stages",
                        found=f"{side} tokens per row before stage {stage + 1}",
                        fix="use fewer stages (depth, num_heads), another patch_size or larger images",
                    )
                side //= 2
            if side > self.window_size and side % self.window_size:
                raise InputError(
                    "the windows don't fill the image",
                    expected=f"tokens per row divisible by window_size ({self.window_size}), or no more than it",
                    found=f"{side} tokens per row in stage {stage + 1}",
                    fix=f"change window_size, for instance to {_largest_divisor(side, self.window_size)}",
                )
            grids.append((side, side))
        return grids

    def token_grid(self, image_size: int) -> Grid:
        """Rows and columns of the first stage."""
        return self.stage_grids(image_size)[0]


def _largest_divisor(side: int, most: int) -> int:
    return next(divisor for divisor in range(most, 0, -1) if side % divisor == 0)


class MapSize(AnySize):
    """The sizes of any convolutional network. norm_eps: ε of its BatchNorms.

    The effect of L2BN depends on ε, compared with the scale of the features: see `suite.models.normalisers.l2bn`.
    """

    norm_eps: float = Field(default=1e-5, gt=0, description="ε of the norms")


class ThreeStageSize(MapSize):
    """Three stages of `blocks` residual blocks of two convolutions: 6 · blocks + 2 layers. channels: of the first."""

    blocks: int = Field(ge=1, description="residual blocks of each stage")
    channels: int = Field(default=16, ge=1, description="channels of the first stage")


class FourStageSize(MapSize):
    """Four stages of residual blocks, of two convolutions or (bottleneck) three; the first stage has 64 channels."""

    blocks: tuple[int, int, int, int] = Field(strict=False, description="residual blocks of each stage")
    bottleneck: bool = Field(description="three convolutions in a block instead of two")

    @model_validator(mode="after")
    def _blocks_in_each(self) -> Self:
        if min(self.blocks) < 1:
            raise ValueError("blocks must be at least 1 in each stage")
        return self


class InvertedSize(MapSize):
    """MobileNetV2 with all channels multiplied (and rounded to 8). drop: dropout before the head."""

    width_multiple: float = Field(default=1.0, gt=0, description="factor of all numbers of channels")
    drop: float = Field(default=0.2, ge=0, lt=1, description="dropout before the class head")
