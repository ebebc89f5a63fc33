"""Whether the levels of a cell fit together, and the recipe with them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from suite.data.corruptions.settings import Corruptions, check_size
from suite.data.datasets import Dataset
from suite.errors import InputError
from suite.grid.axes import AXES, GRID_ORDER
from suite.grid.losses import LOSSES, idle_weights, set_weights
from suite.grid.named_recipe import NamedRecipe
from suite.grid.recipe import Recipe
from suite.models.architectures import FAMILIES
from suite.models.levels import Cell
from suite.store.held_out import count_validation
from suite.store.record import LOSS_KEYS

_DROP = "add an `exclude` rule for the combination, or `impossible: drop` to the grid"


def check_weights(named: NamedRecipe, levels: Iterable[str]) -> None:
    """Raise `InputError` if the recipe sets the weight of a term that no loss of its cells has."""
    recipe = named.recipe
    if not (idle := idle_weights(recipe, levels)):
        return
    weights = set_weights(recipe)
    having = [name for name, loss in LOSSES.items() if loss.weights & set(idle)]
    raise InputError(
        f"{' and '.join(idle)} of the recipe {'has' if len(idle) == 1 else 'have'} no effect",
        expected="weights of terms that a loss of these cells has",
        found=", ".join(f"{name}: {weights[name]:g}" for name in idle),
        where=named.where(idle[0] if idle[0] in LOSS_KEYS else "loss_weights"),
        fix=f"leave {'it' if len(idle) == 1 else 'them'} out, or add loss {', '.join(having)}",
    )


def check_cell(cell: Cell, dataset: Dataset, recipe: NamedRecipe) -> None:
    """Raise `InputError` if a level of the cell doesn't fit the others, or the recipe doesn't fit them."""
    for axis in GRID_ORDER:
        if error := AXES[axis].refusal(cell):
            (problem,) = error.problems
            if axis == "arch":
                raise InputError(
                    problems=[replace(problem, what=f"arch {cell.arch.name} on {dataset.name}: {problem.what}")]
                )
            raise InputError(problems=[replace(problem, fix="; or ".join(filter(None, (problem.fix, _DROP))))])
    _check_recipe(cell, dataset, recipe)


def _check_recipe(cell: Cell, dataset: Dataset, named: NamedRecipe) -> None:
    recipe = named.recipe
    if recipe.cutmix_grid is not None and dataset.image_size % recipe.cutmix_grid:
        raise InputError(
            f"the recipe's cutmix_grid doesn't fit the data set {dataset.name}",
            expected=f"whole cells in images of {dataset.image_size} pixels a side",
            found=f"cutmix_grid {recipe.cutmix_grid}",
            where=named.where("cutmix_grid"),
            fix="give the side of the patches",
        )
    if recipe.corruptions is not None:
        _check_corruptions(recipe.corruptions, dataset, named)
    family = cell.arch.family
    if recipe.distillation != "none" and not family.distilled:
        raise InputError(
            f"arch {cell.arch.name} has no head that learns from a teacher",
            expected=f"a family with one: {', '.join(f.name for f in FAMILIES.values() if f.distilled)}",
            found=f"family {family.name} with distillation: {recipe.distillation}",
            where=named.where("distillation"),
            fix="choose another arch, or give this one a block of its own with distillation: none",
        )
    images = recipe.train_images if recipe.train_images is not None else dataset.train_images
    _check_range("train_images", images, dataset.num_classes, dataset.train_images, dataset, named)
    if recipe.validation is not None:
        _check_validation(recipe, images, dataset, named)
    else:
        _check_range("batch_size", recipe.batch_size, 1, images, dataset, named)


def _check_corruptions(corruptions: Corruptions, dataset: Dataset, named: NamedRecipe) -> None:
    check_size(dataset, named.where("corruptions"))
    if corruptions.images is not None:
        least, most = dataset.num_classes, dataset.test_images
        _check_range("corruptions.images", corruptions.images, least, most, dataset, named)


def _check_validation(recipe: Recipe, images: int, dataset: Dataset, named: NamedRecipe) -> None:
    held = count_validation(recipe.validation, images)
    if images - held < recipe.batch_size:
        raise InputError(
            f"the recipe's validation split leaves fewer training images of {dataset.name} than a batch has",
            expected=f"at most {max(images - recipe.batch_size, 0)} of {images} images held out",
            found=f"validation {recipe.validation}, which is {held} images, with batch_size {recipe.batch_size}",
            where=named.where("validation"),
            fix="hold out fewer images, or lower batch_size",
        )


def _check_range(name: str, value: int, least: int, most: int, dataset: Dataset, recipe: NamedRecipe) -> None:
    if not least <= value <= most:
        raise InputError(
            f"the recipe's {name} doesn't fit the data set {dataset.name}",
            expected=f"from {least} to {most}",
            found=str(value),
            where=recipe.where(name.partition(".")[0]),
            fix=f"change {name}, for instance with --set recipe.{name}={most}",
        )
