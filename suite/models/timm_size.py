"""The size of a timm model: its name and its arguments. Needs neither torch nor timm.

Where timm is installed, a name or an argument that it doesn't have is refused when a grid is read. Where it isn't, as
for a reader of stored results, nothing is checked.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib.util import find_spec
from typing import Annotated, Any, ClassVar

from pydantic import AfterValidator, ConfigDict, Field

from suite.models.joins import JOINS
from suite.models.levels import Cell, Refusal
from suite.models.norms import NORMS
from suite.models.positions import POSITIONS
from suite.models.sizes import AnySize, NormPlace, PatchTokens
from suite.registry import Registry, resolve

LEVELS: tuple[Registry[Any], ...] = (POSITIONS, JOINS, NORMS)  # of the axes that change a timm model
_SIMPLE = (bool, int, float, str)


def _argument(value: Any) -> Any:
    if not all(isinstance(item, _SIMPLE) for item in (value if isinstance(value, list | tuple) and value else [value])):
        raise ValueError("arguments of a timm model are numbers, texts, true, false, or lists of these")
    return list(value) if isinstance(value, tuple) else value


Argument = Annotated[Any, AfterValidator(_argument)]


class TimmSize(AnySize):
    """A timm model by its name, such as `vit_tiny_patch16_224`. Any other key is an argument of that model.

    Attributes:
        model: timm's name, without a tag of pretrained weights: nothing is ever downloaded.
        img_size: pixels a side, which must be those of the data set's images. It is part of no id, as they are.
        norm_where: where the norm of the norm axis stands in a transformer, as in `suite.models.sizes.Size`.
    """

    model_config = ConfigDict(extra="allow", strict=True, frozen=True, allow_inf_nan=False)
    __pydantic_extra__: dict[str, Argument]

    judged: ClassVar[frozenset[str]] = frozenset(levels.kind for levels in LEVELS)

    model: str = Field(min_length=1, max_length=100, description="timm's name, without a tag of pretrained weights")
    img_size: int | None = Field(default=None, ge=1, description="pixels on each side, which the data set must have")
    norm_where: NormPlace | None = Field(
        default=None,
        description="blocks with the norm of the norm axis: but the last two, all, or all and before the head",
        json_schema_extra={"neutral": None},
    )

    @property
    def arguments(self) -> Mapping[str, Argument]:
        """What timm's model is created with, except the image size, the channels and the classes."""
        return dict(sorted(self.__pydantic_extra__.items()))

    def canonical(self) -> dict[str, Any]:
        """Name, arguments and, if it is given, the place of norms. The image size is the data set's."""
        placed = {} if self.norm_where is None else {"norm_where": self.norm_where}
        return {"model": self.model, **placed, **self.arguments}

    @property
    def usual_norm(self) -> str | None:
        """The norm 'bn' for a network with BatchNorm; None for others, or if that can't be known here."""
        found: str | None = resolve(f"{_CHECKS}:usual_norm")(self) if _timm_is_here() else None
        return found

    @property
    def width(self) -> int | None:
        """The channels of the tokens that have a position; None for a model without such tokens."""
        found: int | None = resolve(f"{_CHECKS}:position_width")(self) if _timm_is_here() else None
        return found

    def patch_tokens(self, image_size: int) -> PatchTokens | None:
        """The patch tokens that timm's `forward_intermediates` shows."""
        found: PatchTokens | None = resolve(f"{_CHECKS}:patch_tokens")(self, image_size) if _timm_is_here() else None
        return found

    def refuses(self, axis: str, cell: Cell) -> Refusal | None:
        """Why timm can't build this model, or why the model can't have the cell's PE, join or norm."""
        found: Refusal | None = resolve(f"{_CHECKS}:refusal")(self, axis, cell) if _timm_is_here() else None
        return found


_CHECKS = "suite.models.timm_checks"  # imported where a timm model is first used


def _timm_is_here() -> bool:
    return all(find_spec(library) is not None for library in ("torch", "timm"))
