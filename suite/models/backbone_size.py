"""The sizes of any backbone with a semantic head on it. Needs no torch."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, ClassVar, Literal, NamedTuple

from pydantic import ConfigDict, Field, PrivateAttr, model_validator

from suite.errors import InputError
from suite.models.levels import Cell, Refusal
from suite.models.region_size import RegionSize
from suite.models.semantic_size import SemanticSize
from suite.models.sequence_size import SequenceSize
from suite.models.sizes import AnySize, FourStageSize, Grid, InvertedSize, PatchTokens, Size, ThreeStageSize
from suite.models.timm_size import LEVELS, TimmSize
from suite.registry import Registry, resolve

if TYPE_CHECKING:
    from suite.models.architectures import Architecture

MASK_LAYERS = 2  # blocks of the published mask transformer
# Pixels of the image to one of the last feature map, on each side.
_STRIDES: dict[type[AnySize], int] = {ThreeStageSize: 4, FourStageSize: 32, InvertedSize: 32}
# Sizes of transformers on which no head can be put, and why.
_OTHERS: dict[type[AnySize], str] = {
    SemanticSize: "which has a semantic head of its own",
    SequenceSize: "whose tokens are symbols in a row",
    RegionSize: "which is frozen",
}
_REGISTRIES: dict[str, Registry[Any]] = {levels.kind: levels for levels in LEVELS}


class FeatureMap(NamedTuple):
    """The last feature map of a backbone.

    Args:
        grid: its rows and columns.
        width: its channels; None if only the built model knows them.
    """

    grid: Grid
    width: int | None = None


class BackboneSize(AnySize):
    """Any backbone with a semantic head. All other keys are sizes of the backbone.

    Attributes:
        backbone: a family, or a named size, whose values are then filled in.
        head: what maps the features to classes.
        mask_layers: blocks of the mask transformer; None with a linear head.
    """

    model_config = ConfigDict(extra="allow", strict=True, frozen=True, allow_inf_nan=False)

    judged: ClassVar[frozenset[str]] = frozenset(_REGISTRIES)

    backbone: str = Field(min_length=1, max_length=100, description="a family, or a named size, of images")
    head: Literal["linear", "mask_transformer"] = Field(
        default="linear", description="linear: a linear layer on each feature; mask_transformer: Segmenter's decoder"
    )
    mask_layers: int | None = Field(
        default=None, ge=1, le=100, description="blocks of the mask transformer, by default 2; null: a linear head"
    )

    _body: Any = PrivateAttr(default=None)

    @model_validator(mode="before")
    @classmethod
    def _filled_in(cls, values: Any) -> Any:
        """Replace a named backbone by its family with all its sizes, and give the mask transformer its usual depth."""
        if not isinstance(values, Mapping) or not isinstance(values.get("backbone"), str):
            return values  # refused by the checks of the fields
        own = {key: value for key, value in values.items() if key in cls.model_fields}
        body = _backbone(own["backbone"], {key: value for key, value in values.items() if key not in own})
        if own.get("head") == "mask_transformer" and own.get("mask_layers") is None:
            own["mask_layers"] = MASK_LAYERS
        return {**own, "backbone": body.family.name, **body.size.model_dump()}

    @model_validator(mode="after")
    def _of_its_head(self) -> BackboneSize:
        if self.head == "linear" and self.mask_layers is not None:
            raise ValueError("mask_layers with head: mask_transformer alone")
        self._body = _backbone(self.backbone, self.__pydantic_extra__ or {})
        return self

    @property
    def body(self) -> Architecture:
        """The backbone as an architecture of its own."""
        found: Architecture = self._body
        return found

    def canonical(self) -> dict[str, Any]:
        """The head and the backbone's family and sizes."""
        sizes = self.body.canonical()
        head = {"head": self.head} if self.mask_layers is None else {"head": self.head, "mask_layers": self.mask_layers}
        return {"backbone": sizes.pop("family"), **head, **sizes}

    @property
    def usual_norm(self) -> str | None:
        """The backbone's."""
        return self.body.norm

    @property
    def width(self) -> int | None:
        """The backbone's."""
        return self.body.size.width

    def patch_tokens(self, image_size: int) -> PatchTokens | None:
        """The backbone's."""
        return self.body.size.patch_tokens(image_size)

    def check(self, image_size: int) -> None:
        """Raise `InputError` if the backbone can't be built for that image size, or shows no features."""
        self.body.size.check(image_size)
        if isinstance(self.body.size, TimmSize) and find_spec("timm") is None:
            return  # as for a reader of stored results: nothing of timm's is checked
        if self.features(image_size) is None:
            raise InputError(
                f"the backbone {self.backbone} shows no map of features, which a semantic head reads",
                expected="patch tokens that fill a grid, or a feature map",
                found=f"none, for images of {image_size}×{image_size} pixels",
                fix=f"choose another backbone: {', '.join(backbones())}",
            )

    def features(self, image_size: int) -> FeatureMap | None:
        """The last feature map of the backbone; None if it has none.

        Of a timm model it is found by building it.
        """
        size = self.body.size
        if isinstance(size, Size):
            patches = size.patch_tokens(image_size)
            return FeatureMap(patches.grids[-1], patches.width)
        if isinstance(size, TimmSize):
            found: FeatureMap | None = resolve("suite.models.timm_maps:feature_map")(size, image_size)
            return found
        stride = next((stride for kind, stride in _STRIDES.items() if isinstance(size, kind)), None)
        return None if stride is None else FeatureMap((-(-image_size // stride),) * 2)

    def refuses(self, axis: str, cell: Cell) -> Refusal | None:
        """What the backbone refuses, without a head."""
        inner = Cell(self.body, cell.image_size, cell.levels, cell.recipe)
        if axis == "arch":
            return self.body.size.refuses(axis, inner)
        if axis in self.body.size.judged:
            return self.body.size.refuses(axis, inner)
        found: Refusal | None = _REGISTRIES[axis][inner[axis]].refuses(inner)
        return found

    def decoder(self, width: int) -> SemanticSize:
        """The sizes of the mask transformer on features of so many channels.

        As in Segmenter, it is as wide as the features and has the MLP ratio of the backbone and heads of 64 channels
        each. On a transformer, it has as many heads as the last stage.
        """
        size = self.body.size
        assert self.mask_layers is not None
        heads = size.heads()[-1] if isinstance(size, Size) else max(1, width // 64)
        while width % heads:
            heads -= 1
        return SemanticSize(
            patch_size=1,
            embed_dim=width,
            depth=1,
            num_heads=heads,
            mlp_ratio=size.mlp_ratio if isinstance(size, Size) else 4.0,
            qkv_bias=size.qkv_bias if isinstance(size, Size) else True,
            norm_eps=getattr(size, "norm_eps", 1e-6),
            drop_path=0.0,
            attn_drop=size.attn_drop if isinstance(size, Size) else 0.0,
            mask_layers=self.mask_layers,
        )


def backbones() -> list[str]:
    """The families that a semantic head can be put on."""
    families = resolve("suite.models.architectures:FAMILIES")
    return [name for name, family in families.items() if _shows_features(family.size)]


def body_of(architecture: Architecture) -> Architecture:
    """The backbone of an architecture with a semantic head on it; any other architecture as it is."""
    return architecture.size.body if isinstance(architecture.size, BackboneSize) else architecture


def is_semantic(size: object) -> bool:
    """Whether models of this size map images to a class for each pixel."""
    return isinstance(size, SemanticSize | BackboneSize)


def _shows_features(size: type[AnySize]) -> bool:
    return issubclass(size, (Size, TimmSize, *_STRIDES)) and not issubclass(size, tuple(_OTHERS))


def _backbone(name: str, sizes: Mapping[str, Any]) -> Architecture:
    """The backbone of that name with these sizes; raises `InputError` if there is none, or a head can't be on it."""
    body: Architecture = resolve("suite.models.architectures:resolve_architecture")(name, sizes)
    if not _shows_features(type(body.size)):
        nested = _OTHERS[SemanticSize] if is_semantic(body.size) else "whose features aren't known"
        why = next((reason for kind, reason in _OTHERS.items() if isinstance(body.size, kind)), nested)
        raise InputError(
            f"a semantic head can't be put on {name}",
            expected=f"a backbone that shows a map of patch tokens or features: {', '.join(backbones())}",
            found=f"family {body.family.name}, {why}",
            fix="choose a family of that list, or a named size of one",
        )
    return body
