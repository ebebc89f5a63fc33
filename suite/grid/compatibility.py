"""Which levels fit together: whether a cell can be built and trained."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from suite.data.datasets import Dataset
from suite.errors import InputError, Problem
from suite.grid import losses
from suite.grid.losses import LOSSES
from suite.grid.recipe import Recipe
from suite.models import norms
from suite.models.architectures import FAMILIES, Architecture
from suite.models.joins import refusal
from suite.models.positions import POSITIONS


def check_weights(recipe: Recipe, levels: Iterable[str]) -> None:
    """Raise `InputError` if the recipe weighs a term that no loss of its cells has."""
    if not (idle := losses.idle_weights(recipe, levels)):
        return
    having = [name for name, loss in LOSSES.items() if loss.weights & set(idle)]
    raise InputError(
        f"{' and '.join(idle)} of the recipe {'has' if len(idle) == 1 else 'have'} no effect",
        expected="weights of terms that a loss of these cells has",
        found=", ".join(f"{name}: {getattr(recipe, name):g}" for name in idle),
        fix=f"leave {'it' if len(idle) == 1 else 'them'} out, or add loss {', '.join(having)}",
    )


def check_cell(arch: Architecture, pe: str, join: str, norm: str, loss: str, dataset: Dataset, recipe: Recipe) -> None:
    """Raise `InputError` if the parts of a cell don't fit together."""
    drop = "add an `exclude` rule for the combination, or `impossible: drop` to the grid"
    if reason := POSITIONS[pe].refuses(arch.size.width):
        raise InputError(
            reason,
            expected="axes whose levels can be combined",
            found=f"arch {arch.name}, pe {pe}, join {join}",
            fix=drop,
        )
    if error := refusal(pe, join):
        raise _with_fix(error, drop)
    try:
        arch.size.check(dataset.image_size)
    except InputError as error:
        raise InputError(
            problems=[
                Problem(f"arch {arch.name} on {dataset.name}: {p.what}", p.expected, p.found, p.where, p.fix)
                for p in error.problems
            ]
        ) from None
    if unfit := norms.refusal(norm, arch, dataset.image_size):
        raise _with_fix(unfit, drop)
    if recipe.cutmix_grid is not None and dataset.image_size % recipe.cutmix_grid:
        raise InputError(
            f"the recipe's cutmix_grid doesn't fit the data set {dataset.name}",
            expected=f"whole cells in images of {dataset.image_size} pixels a side",
            found=f"cutmix_grid {recipe.cutmix_grid}",
            fix="give the side of the patches",
        )
    if unfit := losses.refusal(loss, arch, dataset.image_size, recipe):
        raise _with_fix(unfit, drop)
    if recipe.distillation != "none" and not arch.family.distilled:
        raise InputError(
            f"arch {arch.name} has no head that learns from a teacher",
            expected=f"a family with one: {', '.join(f.name for f in FAMILIES.values() if f.distilled)}",
            found=f"family {arch.family.name} with distillation: {recipe.distillation}",
            fix="choose another arch, or give this one a block of its own with distillation: none",
        )
    images = recipe.train_images if recipe.train_images is not None else dataset.train_images
    _check_range("train_images", images, dataset.num_classes, dataset.train_images, dataset)
    _check_range("batch_size", recipe.batch_size, 1, images, dataset)


def _with_fix(error: InputError, fix: str) -> InputError:
    return InputError(problems=[replace(problem, fix=f"{problem.fix}; or {fix}") for problem in error.problems])


def _check_range(name: str, value: int, least: int, most: int, dataset: Dataset) -> None:
    if not least <= value <= most:
        raise InputError(
            f"the recipe's {name} doesn't fit the data set {dataset.name}",
            expected=f"from {least} to {most}",
            found=str(value),
            fix=f"change {name}, for instance with --set recipe.{name}={most}",
        )
