"""The two sides that `lape bench` compares: cells that differ in one axis."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from suite.bench.ratios import Ratio, paired_ratio
from suite.bench.speed import Measured, Mode
from suite.errors import InputError
from suite.grid.losses import LOSSES, refusal
from suite.grid.recipe import Recipe
from suite.models.architectures import Architecture
from suite.models.joins import JOINS
from suite.models.model_cell import ModelCell
from suite.models.norms import NORMS
from suite.models.sizes import Size

# In which two sides can differ, with the levels.
AXES: Mapping[str, Mapping[str, Any]] = {"join": JOINS, "norm": NORMS, "loss": LOSSES}


@dataclass(frozen=True)
class Side:
    """What is measured: a model, and the loss that trains it."""

    cell: ModelCell
    loss: str

    def level(self, axis: str) -> str:
        """Its level on an axis."""
        return self.loss if axis == "loss" else str(getattr(self.cell, axis))

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
    """What a side is where nothing is said: what every training has, or the method that this project is about."""
    if axis == "join":
        return "lape" if treatment else "default"
    if axis == "loss":
        return "diversepatch" if treatment else "default"
    if not treatment:
        return architecture.family.norm
    return "l2bn" if architecture.size.width is None else "dtn"


def check_losses(sides: Sides, recipe: Recipe) -> None:
    """Raise `InputError` if a side can't be trained by its loss, or images can't be mixed for it."""
    for side in sides:
        if error := refusal(side.loss, side.cell.arch, side.cell.shape.image_size, recipe):
            raise error.at("lape bench")
    if recipe.mixes and recipe.batch_size % 2:
        raise InputError(
            "images are mixed in pairs",
            expected="an even --batch-size with a loss that classifies patches",
            found=str(recipe.batch_size),
            where=f"--batch-size {recipe.batch_size}",
            fix="give another",
        )
