"""Whether the levels of a cell fit together, and the recipe with them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from suite.data.datasets import Dataset
from suite.data.listops.settings import SYMBOLS
from suite.data.tasks import TASKS, TaskName
from suite.errors import InputError, nearest
from suite.grid.axes import AXES, GRID_ORDER, unknown_level
from suite.grid.data_compatibility import check_on_data
from suite.grid.losses import LOSSES, idle_weights, set_weights
from suite.grid.named_recipe import NamedRecipe
from suite.grid.pretrained import Pretrained
from suite.models.architectures import FAMILIES
from suite.models.backbone_size import BackboneSize, body_of
from suite.models.levels import Cell
from suite.models.region_size import RegionSize
from suite.models.semantic_size import SemanticSize
from suite.models.sequence_size import SequenceSize
from suite.models.sizes import PlainSize
from suite.store.record import LOSS_KEYS, USUAL_LEVELS

# What architectures and data sets are of, and which architecture to choose for it.
_KINDS = {
    "lists": "sequences of tokens",
    "classes": "images",
    "masks": "images with masks",
    "regions": "images with regions",
}
_CHOICES = {
    "lists": "lra_small, or another size of sequence",
    "classes": "a family other than sequence, segmenter, semantic and regions",
    "masks": "a size of segmenter or segmenter_lite, or {family: semantic, backbone: NAME}",
    "regions": "a size of regions or regions_lite",
}
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


def check_task(task: TaskName, dataset: Dataset, where: str = "") -> None:
    """Raise `InputError` unless the data set is of the task that its grid names.

    Args:
        task: the grid's task.
        dataset: a data set of the grid.
        where: where the grid names its task; empty if it doesn't.
    """
    if dataset.task != task:
        raise InputError(
            f"the grid's task is {task}{'' if where else ', since it names none'}, and {dataset.name} is of another",
            expected=f"data sets of this task: each image has {TASKS[task].data}",
            found=f"{dataset.name}: each image has {TASKS[dataset.task].data}",
            where=where,
            fix=f"choose another data set, or {'write' if where else 'add'} `task: {dataset.task}`; a grid has one",
        )


def check_cell(cell: Cell, dataset: Dataset, recipe: NamedRecipe) -> None:
    """Raise `InputError` if a level of the cell doesn't fit the others, or the recipe doesn't fit them."""
    _check_kind(cell, dataset)
    for axis in GRID_ORDER:
        if error := AXES[axis].refusal(cell):
            (problem,) = error.problems
            if axis == "arch":
                raise InputError(
                    problems=[replace(problem, what=f"arch {cell.arch.name} on {dataset.name}: {problem.what}")]
                )
            raise InputError(problems=[replace(problem, fix="; or ".join(filter(None, (problem.fix, _DROP))))])
    _check_recipe(cell, dataset, recipe)


def _check_kind(cell: Cell, dataset: Dataset) -> None:
    """Raise `InputError` unless images are for an architecture of images, and sequences for one of sequences."""
    size = cell.arch.size
    sizes = {"lists": SequenceSize, "masks": SemanticSize | BackboneSize, "regions": RegionSize}
    rules = {"lists": dataset.listops, "masks": dataset.segmentation, "regions": dataset.regions}
    made_for = next((kind for kind, of in sizes.items() if isinstance(size, of)), "classes")
    has = next((kind for kind, rule in rules.items() if rule), "classes")
    if made_for != has:
        raise InputError(
            f"arch {cell.arch.name} on {dataset.name}: it is of {_KINDS[made_for]}",
            expected=f"an architecture of {_KINDS[has]}, which the data set has",
            found=f"family {cell.arch.family.name}",
            fix=f"choose {_CHOICES[has]}, or another data set; {_DROP}",
        )
    if isinstance(size, SequenceSize) and size.vocabulary < len(SYMBOLS):
        raise InputError(
            f"arch {cell.arch.name} has too few symbols for {dataset.name}",
            expected=f"a vocabulary of at least {len(SYMBOLS)}",
            found=str(size.vocabulary),
            fix="raise vocabulary",
        )


def _check_recipe(cell: Cell, dataset: Dataset, named: NamedRecipe) -> None:
    check_on_data(named, dataset)
    if dataset.segmentation is not None:
        _check_usual_loss(cell, dataset, "is of whole images", "has masks", "cross entropy of pixels")
    if dataset.regions is not None:
        _check_usual_loss(cell, dataset, "is of classes", "has regions", "the modularity of the regions")
    _check_backbone(cell, named)
    recipe = named.recipe
    if recipe.pretrained is not None:
        _check_pretrained(recipe.pretrained, cell, named)
    family = cell.arch.family
    if recipe.distillation != "none" and not family.distilled:
        raise InputError(
            f"arch {cell.arch.name} has no head that learns from a teacher",
            expected=f"a family with one: {', '.join(f.name for f in FAMILIES.values() if f.distilled)}",
            found=f"family {family.name} with distillation: {recipe.distillation}",
            where=named.where("distillation"),
            fix="choose another arch, or give this one a block of its own with distillation: none",
        )


def _check_backbone(cell: Cell, named: NamedRecipe) -> None:
    """Raise `InputError` unless the recipe names weights exactly where the architecture has a frozen backbone."""
    given = named.recipe.backbone_sha256
    if isinstance(cell.arch.size, RegionSize) and given is None:
        raise InputError(
            f"arch {cell.arch.name} has a frozen backbone, and the recipe doesn't say which weights it has",
            expected="backbone_sha256 in the recipe",
            found="none",
            where=named.where("backbone_sha256"),
            fix="run: lape data backbone --from FILE, and add the line that it prints to the recipe",
        )
    size = cell.arch.size
    if isinstance(size, RegionSize) and size.grouping == "spectral":
        rows, columns = size.token_grid(cell.image_size)
        if rows * columns == size.regions:  # spectral clustering needs fewer eigenvectors than there are patches
            raise InputError(
                f"arch {cell.arch.name} can't make each patch a region by spectral clustering",
                expected=f"fewer regions than the {rows * columns} patches of an image",
                found=str(size.regions),
                fix=f"lower regions, or choose larger images; {_DROP}",
            )
    if not isinstance(cell.arch.size, RegionSize) and given is not None:
        raise InputError(
            f"backbone_sha256 of the recipe has no effect: arch {cell.arch.name} has no frozen backbone",
            expected="an architecture of the family regions or regions_lite",
            found=f"family {cell.arch.family.name}",
            where=named.where("backbone_sha256"),
            fix="leave backbone_sha256 out",
        )


def _check_pretrained(pretrained: Pretrained, cell: Cell, named: NamedRecipe) -> None:
    """Raise `InputError` unless the recipe names weights that the cell's model can start from."""
    size, axis = body_of(cell.arch).size, pretrained.axis
    axes = [name for name in GRID_ORDER if name != "dataset"]
    if axis not in axes:
        raise InputError(
            f"pretrained weights can't differ by {axis!r}",
            expected=f"one of {', '.join(axes)}",
            found=repr(axis),
            where=named.where("pretrained"),
            fix=nearest(axis, axes),
        )
    for level in pretrained.weights if axis != "arch" else ():
        if advice := unknown_level(axis, level):
            raise weights_of_nothing(axis, level, advice, named)
    if not isinstance(size, PlainSize) or isinstance(size, RegionSize):
        raise InputError(
            f"arch {cell.arch.name} can't start from the weights of a backbone",
            expected="a vision transformer with one grid of patches, which is trained",
            found=f"family {cell.arch.family.name}",
            where=named.where("pretrained"),
            fix=f"leave pretrained out for this architecture; {_DROP}",
        )
    if pretrained.checksum(cell) is None:
        raise InputError(
            f"the recipe names no weights for {axis} {cell[axis]}",
            expected=f"weights for each {axis} of the grid",
            found=f"weights for {', '.join(pretrained.weights)}",
            where=named.where("pretrained"),
            fix=f"add the checksum for {cell[axis]} that `lape data backbone` prints, or leave {axis} {cell[axis]} out",
        )


def weights_of_nothing(axis: str, level: str, advice: str, named: NamedRecipe) -> InputError:
    """The error of pretrained weights for a level that isn't one: they would only change the trials' ids."""
    return InputError(
        f"the recipe names pretrained weights for {axis} {level!r}, which there isn't",
        expected=f"levels of {axis}",
        found=repr(level),
        where=named.where("pretrained"),
        fix=advice,
    )


def _check_usual_loss(cell: Cell, dataset: Dataset, of: str, has: str, meaning: str) -> None:
    """Raise `InputError` if the cell has another loss than the usual one.

    Args:
        cell: the cell.
        dataset: its data set, on which other losses have no meaning.
        of: what other losses are of, for the message.
        has: what the data set has instead.
        meaning: what the usual loss is on such data.
    """
    if cell["loss"] != USUAL_LEVELS["loss"]:
        raise InputError(
            f"loss {cell['loss']} {of}, and {dataset.name} {has}",
            expected=f"loss {USUAL_LEVELS['loss']}: {meaning}",
            found=f"loss {cell['loss']}",
            fix=f"leave this loss out; {_DROP}",
        )
