"""Whether a recipe fits a data set."""

from __future__ import annotations

from collections.abc import Iterable

from suite.data.corruptions.settings import Corruptions, check_corruptible
from suite.data.datasets import Dataset
from suite.errors import InputError
from suite.grid.named_recipe import NamedRecipe
from suite.grid.recipe import Recipe
from suite.store.held_out import count_validation

# Keys that change pixels. Of tokens, they would make other symbols.
_OF_PIXELS = (
    "crop_padding", "crop_scale", "flip", "auto_augment", "erase_prob", "mixup", "cutmix", "test_crop_ratio",
    "corruptions",
)  # fmt: skip
# Keys that would change an image and not its mask, or that take one label per image.
_NOT_OF_MASKS = ("auto_augment", "erase_prob", "mixup", "cutmix", "test_crop_ratio", "corruptions")
# Likewise, where there are no labels: a resized crop would mix the numbers of regions.
_NOT_OF_REGIONS = (*_NOT_OF_MASKS, "crop_scale", "label_smoothing")


def check_on_data(named: NamedRecipe, dataset: Dataset) -> None:
    """Raise `InputError` if the recipe can't be used on the data set, or has a key that has no effect there."""
    recipe = named.recipe
    if dataset.listops is not None:
        _check_unchanged(dataset, named, _OF_PIXELS, "changes pixels", "has tokens", "without augmentation")
    if dataset.segmentation is not None:
        _check_unchanged(dataset, named, _NOT_OF_MASKS, "has what masks can't follow", "has masks",
                         "whose augmentation is crop_padding or crop_scale, and flip")  # fmt: skip
        _check_scenes(dataset, named)
    if dataset.regions is not None:
        _check_unchanged(dataset, named, _NOT_OF_REGIONS, "has what regions can't follow", "has regions",
                         "whose augmentation is crop_padding and flip, without label_smoothing")  # fmt: skip
    if recipe.scenes is not None and not dataset.windowed:
        raise InputError(
            f"the recipe's scenes are of images larger than the model's input, and those of {dataset.name} are not",
            expected="a data set whose segmentation has a height and a width",
            found=f"images of {dataset.size_text}",
            where=named.where("scenes"),
            fix="leave scenes out, or prepare the images with height and width in --segmentation",
        )
    if recipe.resizer != Recipe.model_fields["resizer"].default and dataset.storage != "folder":
        raise InputError(
            f"the recipe's resizer has no effect on {dataset.name}, whose images are in memory",
            expected="a data set of image files, prepared with --storage folder",
            found=f"resizer {recipe.resizer}, and storage {dataset.storage}",
            where=named.where("resizer"),
            fix="leave resizer out, or prepare the images with --storage folder",
        )
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
    images = recipe.train_images if recipe.train_images is not None else dataset.train_images
    least = dataset.num_classes if dataset.segmentation is None else 1  # of regions, it is 1
    _check_range("train_images", images, least, dataset.train_images, dataset, named)
    if recipe.validation is not None:
        _check_validation(recipe, images, dataset, named)
    else:
        _check_range("batch_size", recipe.batch_size, 1, images, dataset, named)
    _check_range("repeats", recipe.repeats, 1, images, dataset, named)


def _check_scenes(dataset: Dataset, named: NamedRecipe) -> None:
    """Raise `InputError` unless the recipe has crops and windows where images are larger than the model's input."""
    scenes = named.recipe.scenes
    if not dataset.windowed:
        return
    if scenes is None:
        raise InputError(
            f"images of {dataset.name} are larger than the model's input, and the recipe doesn't crop them",
            expected="scenes in the recipe",
            found="none",
            where=named.where("scenes"),
            fix="add, for instance, scenes: {scale: [0.5, 2.0]}; or prepare squares, without height and width",
        )
    _check_unchanged(dataset, named, ("crop_padding", "crop_scale"), "has another crop than that of its scenes",
                     "has images larger than the model's input", "whose crop is that of scenes")  # fmt: skip
    if scenes.stride is not None and scenes.stride > dataset.image_size:
        raise InputError(
            "the windows of a test image leave pixels between them",
            expected=f"a stride of at most {dataset.image_size} pixels, the side of a window on {dataset.name}",
            found=f"stride {scenes.stride}",
            where=named.where("scenes"),
            fix="lower scenes.stride",
        )


def _check_unchanged(
    dataset: Dataset, named: NamedRecipe, keys: Iterable[str], does: str, has: str, expected: str
) -> None:
    """Raise `InputError` if the recipe sets keys that would spoil this kind of data.

    Args:
        dataset: the data set.
        named: the recipe.
        keys: the keys that must have their default.
        does: what these keys do to pixels, for the message.
        has: what the data set has instead.
        expected: which recipe fits.
    """
    fields = Recipe.model_fields
    if changed := [key for key in keys if getattr(named.recipe, key) != fields[key].default]:
        raise InputError(
            f"the recipe {does}, and {dataset.name} {has}",
            expected=f"a recipe {expected}",
            found=", ".join(f"{key}: {getattr(named.recipe, key)}" for key in changed),
            where=named.where(changed[0]),
            fix=f"leave {', '.join(changed)} out",
        )


def _check_corruptions(corruptions: Corruptions, dataset: Dataset, named: NamedRecipe) -> None:
    check_corruptible(dataset, named.where("corruptions"))
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
