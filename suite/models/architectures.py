"""The architectures at their published sizes. Only facts: the modules are in `suite.models.families`.

Nothing here imports torch, so that a grid can be planned and its results read without it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from importlib.metadata import version
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from suite.errors import InputError, Problem, nearest, unknown
from suite.models.backbone_size import BackboneSize
from suite.models.levels import Cell, Level, Refusal
from suite.models.positions import SITES, TOKENS
from suite.models.region_size import RegionSize
from suite.models.semantic_size import SemanticSize
from suite.models.sequence_size import SequenceSize
from suite.models.sizes import (
    AnySize,
    ConvolutionSize,
    FourStageSize,
    InvertedSize,
    PatchSize,
    StemSize,
    ThreeStageSize,
    TokensToTokenSize,
    WindowSize,
)
from suite.models.timm_size import TimmSize
from suite.plain_errors import expected_of
from suite.registry import Outside, Registry


@dataclass(frozen=True)
class Family:
    """An architecture at any size.

    Attributes:
        size: the class of its sizes.
        builder: "module:class", imported when a model is built.
        prefix: the number of tokens before the patches (class token, distillation token).
        defaults: sizes that a named architecture needn't give.
        distilled: it has a second head, which learns from a teacher.
        prefix_in_each_block: its blocks need the prefix tokens.
        late_prefix: the prefix tokens join before the last two blocks, whatever the norm.
        norm: the norm that it was published with.
        sites: where a position embedding can act in its models, of `suite.models.positions.SITES`.
    """

    name: str
    summary: str
    source: str
    size: type[AnySize]
    builder: str
    prefix: int = 0
    defaults: Mapping[str, Any] = field(default_factory=dict)
    distilled: bool = False
    prefix_in_each_block: bool = False
    late_prefix: bool = False
    norm: str = "ln"
    sites: tuple[str, ...] = SITES


@dataclass(frozen=True)
class Architecture(Level):
    """A family at one size; `name` is what tables call it."""

    name: str
    family: Family
    size: AnySize

    @property
    def summary(self) -> str:
        """Its family and its sizes."""
        sizes = ", ".join(f"{key} {value}" for key, value in self.canonical().items() if key != "family")
        return f"{self.family.name}: {sizes}"

    @property
    def source(self) -> str:
        """That of its family."""
        return self.family.source

    @property
    def norm(self) -> str:
        """The norm that it has as published."""
        return self.size.usual_norm or self.family.norm

    @property
    def library_version(self) -> str | None:
        """The installed version of timm for one of its models; None for the suite's own."""
        return version("timm") if isinstance(self.size, TimmSize) else None

    @property
    def description(self) -> str:
        """Family and sizes in one line."""
        return self.summary

    def refuses(self, cell: Cell) -> Refusal | None:
        """Images may be too small or indivisible, and sizes may contradict each other."""
        try:
            self.size.check(cell.image_size)
        except InputError as error:
            problem = error.problems[0]
            return Refusal(problem.what, problem.fix, problem.expected, problem.found)
        return self.size.refuses("arch", cell)

    def canonical(self) -> dict[str, Any]:
        """Family and sizes: the part of trial ids and seeds that the architecture determines."""
        return {"family": self.family.name, **self.size.canonical()}

    def resized(self, sizes: Mapping[str, Any], name: str) -> Architecture:
        """The same family at other sizes, under another name.

        Args:
            sizes: the sizes that differ.
            name: the new name.

        Raises:
            InputError: a size is unknown, of the wrong type or out of range.
        """
        return _made(name, self.family, {**self.size.model_dump(), **sizes})


FAMILIES: Registry[Family] = Registry("architecture family")
_NAMED: dict[str, tuple[str, dict[str, Any]]] = {}

_DEIT = "DeiT (arXiv 2012.12877)"
_DEIT_DEFAULTS = {"qkv_bias": True, "norm_eps": 1e-6, "drop_path": 0.1, "attn_drop": 0.0}
_DTN = "released code of DTN (arXiv 2112.02624)"
_VIT_DEFAULTS = {**_DEIT_DEFAULTS, "qkv_bias": False, "norm_eps": 1e-5}
_COMPACT = "Compact Transformers (arXiv 2104.05704)"
_COMPACT_DEFAULTS = {"qkv_bias": False, "norm_eps": 1e-5, "drop_path": 0.1, "attn_drop": 0.1}
_T2T_DEFAULTS = {"qkv_bias": False, "norm_eps": 1e-5, "drop_path": 0.1, "attn_drop": 0.0}
_RESNET = "ResNet (arXiv 1512.03385)"
_SEGMENTER, _REGIONS = "Segmenter (arXiv 2105.05633)", "ACSeg (arXiv 2210.05944)"
_LRA = "Long Range Arena (arXiv 2011.04006)"
_LRA_DEFAULTS = {"qkv_bias": False, "norm_eps": 1e-6, "attn_drop": 0.0}
_SWIN_DEFAULTS = {"qkv_bias": True, "norm_eps": 1e-5, "drop_path": 0.2, "attn_drop": 0.0}

for _family in (
    Family("deit", "plain pre-norm ViT with a class token", _DEIT,
           PatchSize, "suite.models.families.deit:DeiT", 1, _DEIT_DEFAULTS),
    Family("vit", "DeiT without qkv bias", _DTN, PatchSize, "suite.models.families.deit:DeiT", 1, _VIT_DEFAULTS),
    Family("vit_late", "vit whose class token joins before the last two blocks whatever the norm, as with DTN it must",
           _DTN, PatchSize, "suite.models.families.deit:DeiT", 1, _VIT_DEFAULTS, late_prefix=True),
    Family("deit_distilled", "DeiT with a distillation token and a head of its own for it", _DEIT,
           PatchSize, "suite.models.families.deit:DistilledDeiT", 2, _DEIT_DEFAULTS, distilled=True),
    Family("vit_lite", "small ViT with a class token", _COMPACT,
           PatchSize, "suite.models.families.compact:ViTLite", 1, _COMPACT_DEFAULTS),
    Family("cvt", "ViT-Lite with sequence pooling, no class token", _COMPACT,
           PatchSize, "suite.models.families.compact:CVT", 0, _COMPACT_DEFAULTS),
    Family("cct", "CVT with a convolutional tokenizer", _COMPACT,
           ConvolutionSize, "suite.models.families.compact:CCT", 0, _COMPACT_DEFAULTS),
    Family("t2t_vit", "pre-norm ViT on tokens that are unfolded again and again", "T2T-ViT (arXiv 2101.11986)",
           TokensToTokenSize, "suite.models.families.t2t:T2TViT", 1, _T2T_DEFAULTS),
    Family("ceit", "ViT with convolutional stem and feed-forward, and attention among class tokens",
           "CeiT (arXiv 2103.11816)", StemSize, "suite.models.families.ceit:CeiT", 1, _DEIT_DEFAULTS,
           prefix_in_each_block=True),
    Family("swin", "pyramid of stages with attention in shifted windows", "Swin (arXiv 2103.14030)",
           WindowSize, "suite.models.families.swin:Swin", 0, _SWIN_DEFAULTS),
    Family("resnet_cifar", "residual network of three stages for small images, without parameters in its shortcuts",
           f"{_RESNET} §4.2", ThreeStageSize, "suite.models.families.resnet:CifarResNet", norm="bn", sites=()),
    Family("resnet", "residual network of four stages", f"{_RESNET} Table 1",
           FourStageSize, "suite.models.families.resnet:ResNet", norm="bn", sites=()),
    Family("mobilenet_v2", "inverted residual blocks of depthwise convolutions", "MobileNetV2 (arXiv 1801.04381)",
           InvertedSize, "suite.models.families.mobilenet:MobileNetV2", norm="bn", sites=()),
    Family("sequence", "pre-norm transformer on sequences of tokens, with a class token", _LRA, SequenceSize,
           "suite.models.families.sequence:SequenceTransformer", 1, _LRA_DEFAULTS, sites=(TOKENS,)),
    Family("sequence_late", "sequence whose class token joins before the last two blocks whatever the norm, as with "
           "DTN it must", _LRA, SequenceSize, "suite.models.families.sequence:SequenceTransformer", 1, _LRA_DEFAULTS,
           late_prefix=True, sites=(TOKENS,)),
    Family("segmenter", "DeiT with a semantic head: linear, or a mask transformer", _SEGMENTER, SemanticSize,
           "suite.models.families.segmenter:Segmenter", 1, _DEIT_DEFAULTS),
    Family("segmenter_lite", "ViT-Lite with a semantic head: linear, or a mask transformer", _SEGMENTER, SemanticSize,
           "suite.models.families.segmenter:SegmenterLite", 1, _COMPACT_DEFAULTS),
    Family("semantic", "a semantic head, linear or a mask transformer, on any backbone of images", _SEGMENTER,
           BackboneSize, "suite.models.families.semantic:build"),
    Family("regions", "frozen DeiT whose patches DCN, k-means or spectral clustering groups", _REGIONS, RegionSize,
           "suite.models.families.regions:DeiTRegions", 1, _DEIT_DEFAULTS),
    Family("regions_lite", "frozen ViT-Lite whose patches DCN, k-means or spectral clustering groups", _REGIONS,
           RegionSize, "suite.models.families.regions:LiteRegions", 1, _COMPACT_DEFAULTS),
    Family("timm", "an image model of the library timm, by timm's name and with timm's arguments",
           "timm (github.com/huggingface/pytorch-image-models)", TimmSize, "suite.models.timm_network:TimmNetwork",
           sites=(TOKENS,)),
):  # fmt: skip
    FAMILIES.register(_family.name, _family)

for _name, _width, _heads in (("tiny", 192, 3), ("small", 384, 6), ("base", 768, 12)):
    _body = {"embed_dim": _width, "depth": 12, "num_heads": _heads, "mlp_ratio": 4.0}
    _NAMED[f"deit_{_name}"] = ("deit", {**_body, "patch_size": 16})
    _NAMED[f"deit_{_name}_distilled"] = ("deit_distilled", {**_body, "patch_size": 16})
    if _name != "base":
        _NAMED[f"ceit_{_name}"] = ("ceit", {**_body, "patch_size": 4})

# DiversePatch's DeiTs: twice as deep; and that of its released code, with talking heads and dropout before the class
# head. The rate of stochastic depth is known of the last alone: DeiT-B24 is given the same one, DeiT-S24 keeps DeiT's.
_NAMED["deit_small_24"] = ("deit", {**_NAMED["deit_small"][1], "depth": 24})
_NAMED["deit_base_24"] = ("deit", {**_NAMED["deit_base"][1], "depth": 24, "drop_path": 0.5})
_NAMED["deit_base_12"] = ("deit", {**_NAMED["deit_base"][1], "drop_path": 0.5, "talking_heads": True, "head_drop": 0.2})

# DTN's ViTs; those of a square number of heads are its starred ones.
_DTN_SIZES = (("tiny", 192, 3), ("tiny", 192, 4), ("small", 384, 6), ("small", 432, 9), ("base", 768, 16))
for _name, _width, _heads in _DTN_SIZES:
    _body = {"patch_size": 16, "embed_dim": _width, "depth": 12, "num_heads": _heads, "mlp_ratio": 4.0}
    _NAMED[f"vit_{_name}_h{_heads}_c{_width}"] = ("vit", _body)

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

_NAMED["t2t_vit_7"] = ("t2t_vit", {"embed_dim": 256, "depth": 7, "num_heads": 4, "mlp_ratio": 2.0, "token_dim": 64})

_SWIN: dict[str, Any] = {"embed_dim": 96, "num_heads": (3, 6, 12, 24), "mlp_ratio": 4.0}
_SWIN |= {"patch_size": 4, "window_size": 7}
_NAMED["swin_tiny"] = ("swin", {**_SWIN, "depth": (2, 2, 6, 2)})
_NAMED["swin_small"] = ("swin", {**_SWIN, "depth": (2, 2, 18, 2), "drop_path": 0.3})

for _blocks in (3, 5, 9, 18):
    _NAMED[f"resnet{6 * _blocks + 2}"] = ("resnet_cifar", {"blocks": _blocks})
_NAMED["resnet18"] = ("resnet", {"blocks": (2, 2, 2, 2), "bottleneck": False})
_NAMED["resnet50"] = ("resnet", {"blocks": (3, 4, 6, 3), "bottleneck": True})
_NAMED["mobilenet_v2"] = ("mobilenet_v2", {})

# Long Range Arena's transformer for ListOps, and a small one; each also with a class token that joins late.
_LRA_BASE: dict[str, Any] = {"embed_dim": 512, "depth": 6, "num_heads": 8, "mlp_ratio": 4.0, "head_dim": 2048}
_LRA_BASE |= {"drop": 0.1, "attn_drop": 0.1}
_LRA_SMALL: dict[str, Any] = {"embed_dim": 64, "depth": 4, "num_heads": 4, "mlp_ratio": 2.0}
for _name, _body in (("base", _LRA_BASE), ("small", _LRA_SMALL)):
    _NAMED |= {f"lra_{_name}": ("sequence", _body), f"lra_{_name}_late": ("sequence_late", _body)}

# Segmenter's backbones with patches of 16 pixels, with either head; drop_path is DeiT's.
for _name, _width, _heads in (("tiny", 192, 3), ("small", 384, 6)):
    _body = {"patch_size": 16, "embed_dim": _width, "depth": 12, "num_heads": _heads, "mlp_ratio": 4.0}
    _NAMED[f"segmenter_{_name}_16"] = ("segmenter", _body)
    _NAMED[f"segmenter_{_name}_mask_16"] = ("segmenter", {**_body, "mask_layers": 2})

# DCN and its baselines on the features of ViT-Lite-4/4 and of DeiT-S/16. ViT-Lite's width isn't divisible by six heads.
for _grouping in ("dcn", "kmeans", "spectral"):
    _NAMED[f"{_grouping}_lite_4_4"] = ("regions_lite", {**_NAMED["vit_lite_4_4"][1], "grouping": _grouping})
    _NAMED[f"{_grouping}_small_16"] = ("regions", {**_NAMED["deit_small"][1], "grouping": _grouping})
_NAMED["dcn_lite_4_4"][1]["prototype_heads"] = 4


def named_architectures() -> list[str]:
    """The named sizes, in order of registration."""
    return list(_NAMED)


class _NamedSizes(Mapping[str, Architecture]):
    """The named sizes as the levels of their axis. Looking one up raises `InputError` for an unknown name."""

    def __init__(self) -> None:
        self.outside = Outside()

    def register(self, name: str, family: str, size: Mapping[str, Any]) -> Architecture:
        """Name a size of a family from outside the package.

        Args:
            name: A new name, which no family has either.
            family: A family's name.
            size: Its sizes, beside the family's defaults.

        Raises:
            ValueError: the name is taken.
            InputError: there is no such family, or the sizes don't fit it.
        """
        if name in _NAMED or name in FAMILIES:
            raise ValueError(f"architecture {name!r} is registered already")
        made = resolve_architecture(FAMILIES[family].name, size, label=name)
        _NAMED[name] = (family, dict(size))
        self.outside.note(name)
        return made

    def forget(self, module: str) -> None:
        """Remove what a module outside the package has registered."""
        for name in self.outside.names(module):
            del _NAMED[name]
            self.outside.forget(name)

    def __getitem__(self, name: str) -> Architecture:
        return resolve_architecture(name)

    def __contains__(self, name: object) -> bool:
        return name in _NAMED

    def __iter__(self) -> Iterator[str]:
        return iter(_NAMED)

    def __len__(self) -> int:
        return len(_NAMED)


ARCHITECTURES = _NamedSizes()


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
        expected = "a named size, or a family with its size"
        raise unknown("architecture", name, [*_NAMED, *FAMILIES], expected=expected)
    family = FAMILIES[family_name]
    return _made(label or name, family, {**family.defaults, **size, **(overrides or {})})


def has_size(name: str, key: str) -> bool:
    """Whether a family, or the family of a named size, has such a size; False for an unknown name."""
    family = _NAMED[name][0] if name in _NAMED else name
    return family in FAMILIES and key in FAMILIES[family].size.model_fields


def _made(name: str, family: Family, sizes: Mapping[str, Any]) -> Architecture:
    try:
        return Architecture(name, family, family.size.model_validate(sizes))
    except ValidationError as error:
        raise InputError(problems=[_problem(name, family, item) for item in error.errors()]) from None


def _problem(name: str, family: Family, item: ErrorDetails) -> Problem:
    key = ".".join(map(str, item["loc"]))  # empty where sizes contradict each other
    fix = f"set {key} to a value that fits" if key else "change one of them"
    return Problem(
        f"architecture {name!r}: {key}{': ' if key else ''}{expected_of(item)}",
        expected=f"the sizes of a {family.name}: {', '.join(family.size.model_fields)}",
        found="nothing" if item["type"] == "missing" else repr(item["input"]) if key else "",
        fix=nearest(key, family.size.model_fields) if item["type"] == "extra_forbidden" else fix,
    )
