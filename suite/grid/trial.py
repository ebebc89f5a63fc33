"""A trial: one training to do. Its id says all that fixes the outcome; its seeds say which draws it sees."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Literal, Self

from suite import CODE_EPOCH
from suite.data.datasets import Dataset
from suite.grid.axes import GRID_ORDER, in_config, of_model
from suite.grid.level_code import level_fingerprints, method_fingerprints
from suite.grid.recipe import Recipe
from suite.grid.settings import DRAWN_ALIKE, SETTINGS, reduced_names
from suite.grid.sources import Source
from suite.models.architectures import Architecture
from suite.models.model_cell import ModelCell, Shape
from suite.models.region_size import has_trained_parameters
from suite.store.canonical import derive_seed, fingerprint, resolved_values
from suite.store.record import run_name

# What draws random numbers in a training. Each has its own seed, so that none disturbs another.
Purpose = Literal["initialisation", "order", "augmentation", "dropout"]
_SOURCES: dict[Purpose, Source] = {
    "initialisation": "init", "order": "order", "augmentation": "augmentation", "dropout": "dropout",
}  # fmt: skip


@dataclass(frozen=True)
class Trial:
    """A cell of a grid with a seed index.

    chosen: the level of every axis but `arch` and `dataset`, by axis.
    varied: the level of each setting that is an axis of the grid, as text. It is no part of the id: recipe and
    architecture hold the values.
    """

    grid: str
    arch: Architecture
    dataset: Dataset
    chosen: Mapping[str, str]
    recipe: Recipe
    recipe_name: str
    grid_seed: int
    seed_index: int
    varied: Mapping[str, str] = field(default_factory=dict)

    @cached_property
    def config(self) -> dict[str, Any]:
        """All that fixes the outcome. Not in it: names of grids, recipes and sizes; paths, devices, workers."""
        return {**self._cell, "seed_index": self.seed_index}

    @cached_property
    def id(self) -> str:
        """16 hex digits, the same for the same training in any grid, on any machine."""
        return fingerprint(self.config)

    def with_seed(self, seed_index: int) -> Self:
        """The trial of the same cell with another seed. They share what a cell is: thousands are named fast."""
        other = replace(self, seed_index=seed_index)
        vars(other).update(_cell=self._cell, cell_id=self.cell_id)  # where `cached_property` looks
        return other

    def having(self, axis: str, level: str) -> Self:
        """The same trial with another level on an axis other than `arch` and `dataset`."""
        return replace(self, chosen={**self.chosen, axis: level})

    @cached_property
    def cell_id(self) -> str:
        """The id without the seed: trials that differ only in their seed share it."""
        return fingerprint(self._cell)

    @cached_property
    def _cell(self) -> dict[str, Any]:
        return {
            "axes": {
                "arch": self.arch.canonical(),
                **in_config(self.chosen),
                "dataset": self.dataset.name,
            },
            "recipe": resolved_values(self.recipe),
            "grid_seed": self.grid_seed,
            "dataset_checksum": self.dataset.checksum,
            "normalisation": {"mean": list(self.dataset.mean), "std": list(self.dataset.std)},
            "code_epoch": CODE_EPOCH,
            # Of levels from outside alone, so that no other id changes.
            **({"methods": methods} if (methods := method_fingerprints(self.arch, self.chosen)) else {}),
        }

    @cached_property
    def code(self) -> dict[str, str]:
        """By axis, the fingerprints of the code of its levels, as it is at hand."""
        return level_fingerprints(self.arch, self.chosen)

    @cached_property
    def model(self) -> ModelCell:
        """The model that the trial trains."""
        shape = Shape(self.dataset.num_classes, self.dataset.image_size, self.dataset.channels)
        return ModelCell.with_levels(self.arch, of_model(self.chosen), shape)

    @property
    def epochs(self) -> int:
        """How many epochs it takes: the recipe's, or one where the model has nothing to train."""
        return self.recipe.total_epochs if has_trained_parameters(self.arch.size) else 1

    @property
    def pe(self) -> str:
        """The position embedding."""
        return self.chosen["pe"]

    @property
    def join(self) -> str:
        """The joining method."""
        return self.chosen["join"]

    @property
    def norm(self) -> str:
        """The normalisation."""
        return self.chosen["norm"]

    @property
    def loss(self) -> str:
        """The loss."""
        return self.chosen["loss"]

    def axis(self, name: str) -> str:
        """The level of an axis, as tables print it."""
        return self.levels[name]

    @property
    def levels(self) -> dict[str, str]:
        """The level of every axis, as tables print them."""
        levels = {"arch": self.arch.name, "dataset": self.dataset.name, **self.chosen}
        return {axis: levels[axis] for axis in GRID_ORDER}

    @property
    def identity(self) -> dict[str, Any]:
        """The fields of a record that say which trial it is of."""
        return {
            "trial_id": self.id,
            "cell_id": self.cell_id,
            "grid": self.grid,
            **self.levels,
            "recipe": self.recipe_name,
            "seed_index": self.seed_index,
            "config": self.config,
            "code": self.code,
        }

    @property
    def label(self) -> str:
        """The trial in one line, for people."""
        return " ".join([*in_config(self.levels).values(), *self.recipe_settings, f"seed {self.seed_index}"])

    @property
    def name(self) -> str:
        """Like `label`, without the usual norm and loss."""
        return run_name(self.levels, self.seed_index, self.recipe_settings)

    @property
    def settings(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """The recipe and the architecture of the config, which `suite.grid.settings.setting_value` reads."""
        return self._cell["recipe"], self._cell["axes"]["arch"]

    @property
    def recipe_settings(self) -> list[str]:
        """The recipe keys that are axes of the grid, with their levels. The architecture's name has its sizes."""
        return [f"{SETTINGS[name].key}={text}" for name, text in self.varied.items() if SETTINGS[name].of_recipe]

    @property
    def declared_levels(self) -> dict[str, str]:
        """The level of every axis as the grid file names it: settings too, and the architecture without its sizes."""
        _, arch = reduced_names(self.varied, self.varied, "", self.arch.name)
        return {**self.levels, "arch": arch, **self.varied}

    @property
    def validation_seed(self) -> int:
        """The seed that draws the validation images: the same for all cells and, unless the recipe says so, seeds."""
        own = (self.seed_index,) if self.recipe.validation_by_seed else ()
        return derive_seed(self.grid_seed, self.dataset.name, "validation", *own)

    def seed(self, purpose: Purpose, *more: str | int) -> int:
        """The seed for one purpose (and, say, one epoch or one parameter); that of seed index 0 if it doesn't vary.

        It never depends on pe, join, norm or loss: so the two sides of a contrast start from the same
        weights wherever they share a parameter, and see the same batches in the same order. The scale that a position
        embedding is drawn with is no part of it either: at each scale it is the same draw, multiplied. Nor is the place
        of a norm, which draws nothing that other parameters depend on.
        """
        arch = {key: value for key, value in self.arch.canonical().items() if key not in DRAWN_ALIKE}
        index = self.seed_index if _SOURCES[purpose] in self.recipe.vary else 0
        return derive_seed(self.grid_seed, self.dataset.name, arch, index, purpose, *more)

    @property
    def data_seed(self) -> int | None:
        """The seed that draws the training subset, the same for all cells; None: the recipe's fixed subset."""
        if "data" not in self.recipe.vary:
            return None
        return derive_seed(self.grid_seed, self.dataset.name, self.seed_index, "data")
