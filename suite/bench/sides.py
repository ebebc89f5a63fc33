"""The two sides that `lape bench` compares: two cells (model configurations) that differ on one axis."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from suite.bench.ratios import Ratio, paired_ratio
from suite.bench.speed import Measured, Mode
from suite.errors import InputError
from suite.grid.axes import AXES, METHODS, of_model
from suite.grid.losses import LOSSES
from suite.grid.recipe import Recipe
from suite.models.architectures import Architecture
from suite.models.backbone_size import is_semantic
from suite.models.levels import Cell
from suite.models.model_cell import ModelCell
from suite.models.region_size import RegionSize
from suite.store.record import USUAL_LEVELS


@dataclass(frozen=True)
class Side:
    """One side of the comparison: a model, and the loss that it is trained with."""

    cell: ModelCell
    loss: str

    def level(self, axis: str) -> str:
        """Return this side's level on an axis, such as "lape" on the axis "join"."""
        return {**USUAL_LEVELS, **self.cell.levels, "loss": self.loss}[axis]

    def patch(self) -> int | None:
        """Return the side length of a patch in pixels if the loss classifies patches, else None."""
        image = self.cell.shape.image_size
        patches = self.cell.arch.size.patch_tokens(image)
        if patches is None or not any(term.classifies for term in LOSSES[self.loss].terms):
            return None
        return image // patches.grids[-1][0]


Sides = tuple[Side, Side]


@dataclass(frozen=True)
class Comparison:
    """The measurements of both sides in one mode, and their ratios."""

    mode: Mode
    baseline: Measured
    treatment: Measured

    @property
    def time(self) -> Ratio:
        """Wall-clock time of the treatment divided by that of the baseline."""
        return paired_ratio(self.baseline.seconds, self.treatment.seconds)

    @property
    def cpu(self) -> Ratio | None:
        """CPU time of the treatment divided by that of the baseline; None where none was measured (on a GPU)."""
        if not self.baseline.cpu_seconds:
            return None
        return paired_ratio(self.baseline.cpu_seconds, self.treatment.cpu_seconds)

    @property
    def memory(self) -> float:
        """Peak memory of the treatment divided by that of the baseline."""
        return self.treatment.memory_mb / self.baseline.memory_mb


def usual_level(axis: str, architecture: Architecture, *, treatment: bool) -> str:
    """Return the default level of a side that the command line doesn't name.

    Args:
        axis: the axis on which the sides differ.
        architecture: its family decides the reference norm.
        treatment: False for the axis's reference level; True for its featured method with that reference.
    """
    row = AXES[axis]
    reference = row.references[0] if len(row.references) == 1 else architecture.norm
    if not treatment:
        return reference
    others = [level for level in (*row.featured, *row.levels) if level not in row.references]
    return next(level for level in others if row.reference(level) == reference)


def usual_levels(architecture: Architecture) -> dict[str, str]:
    """Return the default level on each method axis (join, norm, loss) for an architecture."""
    return {axis: usual_level(axis, architecture, treatment=False) for axis in METHODS}


def make_side(cell: ModelCell, levels: Mapping[str, str]) -> Side:
    """Return the side with the cell's model and these levels by method axis; the level of "loss" becomes its loss."""
    return Side(ModelCell.with_levels(cell.arch, {**cell.levels, **of_model(levels)}, cell.shape), levels["loss"])


def check_losses(sides: Sides, recipe: Recipe) -> None:
    """Check that each side can be trained with its loss under the recipe.

    Raises:
        InputError: a side doesn't fit its loss, or images are mixed in pairs and the batch size is odd.
    """
    for side in sides:
        cell = Cell(side.cell.arch, side.cell.shape.image_size, {"loss": side.loss}, recipe)
        if error := AXES["loss"].refusal(cell):
            raise error.at("lape bench")
        of_pixels = is_semantic(side.cell.arch.size) or isinstance(side.cell.arch.size, RegionSize)
        if of_pixels and side.loss != USUAL_LEVELS["loss"]:
            raise InputError(
                f"loss {side.loss} is of whole images, and arch {side.cell.arch.name} is of their pixels",
                expected=f"loss {USUAL_LEVELS['loss']}",
                found=side.loss,
                where="lape bench",
                fix="choose another arch, or leave the loss out",
            )
    if recipe.mixes and recipe.batch_size % 2:
        raise InputError(
            "images are mixed in pairs",
            expected="an even --batch-size with a loss that classifies patches",
            found=str(recipe.batch_size),
            where=f"--batch-size {recipe.batch_size}",
            fix="give another",
        )
