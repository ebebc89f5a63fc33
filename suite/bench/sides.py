"""The two sides that `lape bench` compares: cells that differ in one axis."""

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
from suite.models.levels import Cell
from suite.models.model_cell import ModelCell
from suite.models.sizes import Size
from suite.store.record import USUAL_LEVELS


@dataclass(frozen=True)
class Side:
    """What is measured: a model, and the loss that trains it."""

    cell: ModelCell
    loss: str

    def level(self, axis: str) -> str:
        """Its level on an axis."""
        return {**USUAL_LEVELS, **self.cell.levels, "loss": self.loss}[axis]

    def patch(self) -> int | None:
        """The pixels of a patch's side, if its loss classifies patches."""
        size, image = self.cell.arch.size, self.cell.shape.image_size
        if not isinstance(size, Size) or not any(term.classifies for term in LOSSES[self.loss].terms):
            return None
        return image // size.stage_grids(image)[-1][0]


Sides = tuple[Side, Side]


@dataclass(frozen=True)
class Comparison:
    """Both sides in one mode."""

    mode: Mode
    baseline: Measured
    treatment: Measured

    @property
    def time(self) -> Ratio:
        """Seconds of the treatment over those of the baseline."""
        return paired_ratio(self.baseline.seconds, self.treatment.seconds)

    @property
    def cpu(self) -> Ratio | None:
        """CPU seconds of the treatment over those of the baseline; None on a device that has none."""
        if not self.baseline.cpu_seconds:
            return None
        return paired_ratio(self.baseline.cpu_seconds, self.treatment.cpu_seconds)

    @property
    def memory(self) -> float:
        """Peak memory of the treatment over that of the baseline."""
        return self.treatment.memory_mb / self.baseline.memory_mb


def usual_level(axis: str, architecture: Architecture, *, treatment: bool) -> str:
    """The level of a side that the command line doesn't name: the axis's reference, or its featured method."""
    row = AXES[axis]
    reference = row.references[0] if len(row.references) == 1 else architecture.family.norm
    if not treatment:
        return reference
    others = [level for level in (*row.featured, *row.levels) if level not in row.references]
    return next(level for level in others if row.reference(level) == reference)


def usual_levels(architecture: Architecture) -> dict[str, str]:
    """What such models have on each axis of methods unless something else is said."""
    return {axis: usual_level(axis, architecture, treatment=False) for axis in METHODS}


def make_side(cell: ModelCell, levels: Mapping[str, str]) -> Side:
    """A side: the model of the cell with these levels, by axis of methods, and the loss among them."""
    return Side(ModelCell.with_levels(cell.arch, {**cell.levels, **of_model(levels)}, cell.shape), levels["loss"])


def check_losses(sides: Sides, recipe: Recipe) -> None:
    """Raise `InputError` if a side can't be trained by its loss, or images can't be mixed for it."""
    for side in sides:
        cell = Cell(side.cell.arch, side.cell.shape.image_size, {"loss": side.loss}, recipe)
        if error := AXES["loss"].refusal(cell):
            raise error.at("lape bench")
    if recipe.mixes and recipe.batch_size % 2:
        raise InputError(
            "images are mixed in pairs",
            expected="an even --batch-size with a loss that classifies patches",
            found=str(recipe.batch_size),
            where=f"--batch-size {recipe.batch_size}",
            fix="give another",
        )
