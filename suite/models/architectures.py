"""The architectures and their sizes, with what each refuses. Facts only: the modules are elsewhere.

Nothing here needs torch, so that a grid can be planned and its results read without it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from suite.errors import InputError, Problem, nearest
from suite.registry import Registry


class Size(BaseModel):
    """What every transformer here is sized by; widths are channels, mlp_ratio is hidden / embed_dim."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)

    embed_dim: int = Field(ge=1)
    depth: int = Field(ge=1)
    num_heads: int = Field(ge=1)
    mlp_ratio: float = Field(gt=0)
    qkv_bias: bool
    norm_eps: float = Field(gt=0)
    drop_path: float = Field(ge=0, lt=1)
    attn_drop: float = Field(ge=0, lt=1)

    def token_grid(self, image_size: int) -> tuple[int, int]:
        """Rows and columns of the patch tokens of a square image; raises `InputError` if there are none."""
        raise NotImplementedError

    def check(self, image_size: int) -> None:
        """Raise `InputError` if no model of this size can be built for that image size."""
        if self.embed_dim % self.num_heads:
            raise InputError(
                "the width must be divisible by the number of heads",
                expected=f"embed_dim divisible by num_heads ({self.num_heads})",
                found=f"embed_dim {self.embed_dim}",
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


class PatchSize(Size):
    """A size whose tokens are square patches that don't overlap."""

    patch_size: int = Field(ge=1)

    def token_grid(self, image_size: int) -> tuple[int, int]:
        """Patches per column and row."""
        if image_size % self.patch_size:
            raise InputError(
                "the image size must be divisible by the patch size",
                expected=f"an image size divisible by patch_size ({self.patch_size})",
                found=f"images of {image_size}×{image_size} pixels",
                fix="change patch_size, or choose another data set",
            )
        return image_size // self.patch_size, image_size // self.patch_size


class ConvolutionSize(Size):
    """A size whose tokens are the pixels of a feature map: conv_layers × (convolution, ReLU, max-pool)."""

    conv_kernel: int = Field(ge=1)
    conv_stride: int = Field(ge=1)
    conv_padding: int = Field(ge=0)
    conv_layers: int = Field(ge=1)

    def token_grid(self, image_size: int) -> tuple[int, int]:
        """Rows and columns of the feature map."""
        side = image_size
        for _ in range(self.conv_layers):
            side = (side + 2 * self.conv_padding - self.conv_kernel) // self.conv_stride + 1
            side = (side + 2 - 3) // 2 + 1  # max-pool 3, stride 2, padding 1
            if side < 1:
                raise InputError(
                    "the convolutions leave no token",
                    expected="a feature map of at least 1×1 after the tokenizer",
                    found=f"{self.conv_layers} layers of kernel {self.conv_kernel}, stride {self.conv_stride} "
                    f"on images of {image_size}×{image_size} pixels",
                    fix="use fewer conv_layers, a smaller conv_kernel or a smaller conv_stride",
                )
        return side, side


@dataclass(frozen=True)
class Family:
    """An architecture at any size. `builder` is "module:class"; it is imported when a model is built."""

    name: str
    summary: str
    source: str
    size: type[Size]
    builder: str
    class_token: bool
    defaults: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Architecture:
    """A family at one size; `name` is what tables call it."""

    name: str
    family: Family
    size: Size

    def canonical(self) -> dict[str, Any]:
        """All that fixes the model but PE, join, norm and the data: what trial ids and seeds are made of."""
        return {"family": self.family.name, **self.size.model_dump()}


FAMILIES: Registry[Family] = Registry("architecture family")
_NAMED: dict[str, tuple[str, dict[str, Any]]] = {}

_COMPACT = "Compact Transformers (arXiv 2104.05704)"
_COMPACT_DEFAULTS = {"qkv_bias": False, "norm_eps": 1e-5, "drop_path": 0.1, "attn_drop": 0.1}
_DEIT_DEFAULTS = {"qkv_bias": True, "norm_eps": 1e-6, "drop_path": 0.1, "attn_drop": 0.0}

for _family in (
    Family("deit", "plain pre-norm ViT with a class token", "DeiT (arXiv 2012.12877)",
           PatchSize, "suite.models.deit:DeiT", True, _DEIT_DEFAULTS),
    Family("vit_lite", "small ViT with a class token", _COMPACT,
           PatchSize, "suite.models.compact:ViTLite", True, _COMPACT_DEFAULTS),
    Family("cvt", "ViT-Lite with sequence pooling, no class token", _COMPACT,
           PatchSize, "suite.models.compact:CVT", False, _COMPACT_DEFAULTS),
    Family("cct", "CVT with a convolutional tokenizer", _COMPACT,
           ConvolutionSize, "suite.models.compact:CCT", False, _COMPACT_DEFAULTS),
):  # fmt: skip
    FAMILIES.register(_family.name, _family)

for _name, _width, _heads in (("tiny", 192, 3), ("small", 384, 6), ("base", 768, 12)):
    _NAMED[f"deit_{_name}"] = (
        "deit",
        {"patch_size": 16, "embed_dim": _width, "depth": 12, "num_heads": _heads, "mlp_ratio": 4.0},
    )

# Compact Transformers: depth → heads, MLP ratio, width; the published tokenizers are patch 4, or 3×1 and 3×2.
for _depth, (_heads, _ratio, _width) in {
    2: (2, 1.0, 128),
    4: (2, 1.0, 128),
    6: (4, 2.0, 256),
    7: (4, 2.0, 256),
}.items():
    _body = {"embed_dim": _width, "depth": _depth, "num_heads": _heads, "mlp_ratio": _ratio}
    for _family_name in ("vit_lite", "cvt"):
        _NAMED[f"{_family_name}_{_depth}_4"] = (_family_name, {**_body, "patch_size": 4})
    for _layers in (1, 2):
        _convolution = {"conv_kernel": 3, "conv_stride": 1, "conv_padding": 1, "conv_layers": _layers}
        _NAMED[f"cct_{_depth}_3x{_layers}"] = ("cct", {**_body, **_convolution})


def named_architectures() -> list[str]:
    """The named sizes, in order of registration."""
    return list(_NAMED)


def resolve_architecture(name: str, overrides: Mapping[str, Any] | None = None, *, label: str = "") -> Architecture:
    """A named size, or a family with its size as `overrides` (which also change a named size).

    Raises:
        InputError: the name is unknown, or a size is missing, unknown, of the wrong type or out of range.
    """
    if name in _NAMED:
        family_name, size = _NAMED[name]
    elif name in FAMILIES:
        family_name, size = name, {}
    else:
        raise InputError(
            f"unknown architecture {name!r}",
            expected="a named size, or a family with its size",
            found=repr(name),
            fix=nearest(name, [*_NAMED, *FAMILIES]),
        )
    family = FAMILIES[family_name]
    try:
        resolved = family.size.model_validate({**family.defaults, **size, **(overrides or {})})
    except ValidationError as error:
        raise InputError(
            problems=[
                Problem(
                    f"architecture {label or name!r}: {'.'.join(map(str, item['loc']))}: {item['msg']}",
                    expected=f"the sizes of a {family_name}: {', '.join(family.size.model_fields)}",
                    found=f"{item['input']!r}" if item["type"] != "missing" else "nothing",
                    fix=nearest(str(item["loc"][0]), family.size.model_fields)
                    if item["type"] == "extra_forbidden"
                    else f"set {item['loc'][0]} to a value that fits",
                )
                for item in error.errors()
            ]
        ) from None
    return Architecture(label or name, family, resolved)
