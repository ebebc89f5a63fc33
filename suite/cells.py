"""From a block of a grid file to its cells: each level looked up, each combination checked."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from suite.data.datasets import DATASETS, Dataset
from suite.documents import Document, Location
from suite.errors import InputError, Problem, nearest
from suite.gridfile import Block, Cell, GridFile, When
from suite.models import norms
from suite.models.architectures import FAMILIES, Architecture, resolve_architecture
from suite.models.joins import JOINS, refusal
from suite.models.norms import NORMS
from suite.models.positions import POSITIONS
from suite.recipe import Recipe
from suite.training import losses
from suite.training.losses import LOSSES
from suite.trial import AXES

Point = Mapping[str, str]  # axis → level


@dataclass(frozen=True)
class Dropped:
    """A cell of the product that is no trial, and why."""

    cell: Point
    reason: str

    @property
    def label(self) -> str:
        """The cell in one line."""
        return " ".join(self.cell[axis] for axis in AXES)


class Catalogue:
    """What the levels of a grid's axes mean: built-in things, and what the grid file declares."""

    def __init__(self, file: GridFile, document: Document) -> None:
        self._file, self._document = file, document
        self._known: dict[tuple[str, str], Any] = {}

    def find(self, axis: str, level: str, location: Location) -> Any:
        """The object of a level: an `Architecture`, a `Dataset`, or the level itself on the other axes."""
        if (axis, level) not in self._known:
            try:
                self._known[axis, level] = self._look_up(axis, level)
            except InputError as error:
                raise error.at(self._document.where(location)) from None
        return self._known[axis, level]

    def _look_up(self, axis: str, level: str) -> Any:
        if axis == "arch":
            return self._architecture(level)
        if axis == "dataset":
            return self._dataset(level)
        registries: dict[str, Mapping[str, Any]] = {"pe": POSITIONS, "join": JOINS, "norm": NORMS, "loss": LOSSES}
        registries[axis][level]  # raises for an unknown name
        return level

    def _architecture(self, level: str) -> Architecture:
        if level not in self._file.architectures:
            return resolve_architecture(level)
        sizes = dict(self._file.architectures[level])
        at = ("architectures", level)
        if "family" not in sizes:
            raise InputError(
                f"architecture {level!r} names no family",
                expected="family: a family, or a named size to change",
                found=f"the keys {', '.join(sizes) or 'of an empty mapping'}",
                where=self._document.where(at),
                fix="add, for instance, `family: vit_lite`",
            )
        try:
            return resolve_architecture(str(sizes.pop("family")), sizes, label=level)
        except InputError as error:
            raise error.at(self._document.where(at)) from None

    def _dataset(self, level: str) -> Dataset:
        declared = self._file.datasets
        if level in declared:
            return self._document.validate(Dataset, {"name": level, **declared[level]}, ("datasets", level))
        if level not in DATASETS:
            raise InputError(
                f"unknown data set {level!r}",
                expected="a built-in data set, or one that the grid declares under `datasets:`",
                found=repr(level),
                fix=f"{nearest(level, [*DATASETS, *declared])}; "
                "`lape data prepare NAME --from FOLDER` prints the declaration of your own",
            )
        return DATASETS[level]


def block_cells(block: Block, at: Location, catalogue: Catalogue, document: Document) -> Iterator[Point | Dropped]:
    """The cells of a block, and those that its rules exclude; raises `InputError` for an unknown level."""
    for axis in AXES:
        for index, level in enumerate(getattr(block.axes, axis)):
            catalogue.find(axis, level, (*at, "axes", axis, index))
    for index, rule in enumerate(block.exclude):
        for axis in AXES:
            for level in getattr(rule.when, axis) or ():
                catalogue.find(axis, level, (*at, "exclude", index, "when", axis))
    for combination in itertools.product(*(getattr(block.axes, axis) for axis in AXES)):
        cell = dict(zip(AXES, combination, strict=True))
        reason = next((rule.reason for rule in block.exclude if matches(rule.when, cell)), None)
        yield cell if reason is None else Dropped(cell, reason)
    for index, extra in enumerate(block.include):
        yield _included(extra, block, (*at, "include", index), catalogue, document)


def matches(when: When, cell: Point) -> bool:
    """Whether a cell has the levels."""
    return all(cell[axis] in levels for axis in AXES if (levels := getattr(when, axis)) is not None)


def _included(extra: Cell, block: Block, at: Location, catalogue: Catalogue, document: Document) -> Point:
    cell: dict[str, str] = {}
    for axis in AXES:
        level, levels = getattr(extra, axis), getattr(block.axes, axis)
        if level is None and len(levels) > 1:
            raise InputError(
                f"an included cell must say its {axis}",
                expected=f"one of {', '.join(levels)}",
                found="nothing, and the block has several",
                where=document.where(at),
                fix=f"add the key {axis!r} to the cell",
            )
        cell[axis] = levels[0] if level is None else level
        catalogue.find(axis, cell[axis], (*at, axis))
    return cell


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
