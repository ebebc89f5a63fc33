"""Keys of a recipe that have no effect beside the values of others."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from suite.grid.auto_augment import RandAugment, parse_policy

if TYPE_CHECKING:
    from suite.grid.recipe import Recipe


def idle_keys(recipe: Recipe) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Yield groups of keys that have no effect beside the other keys' values, each with the reason."""
    if recipe.cpu_micro_batch is not None and recipe.cpu_micro_batch >= recipe.batch_size:
        yield "unless it is below batch_size", ("cpu_micro_batch",)
    if recipe.distillation == "none":
        parts = ("teacher", "teacher_sha256", "distillation_alpha", "distillation_temperature")
        yield "with distillation: none", parts
    if recipe.distillation == "hard":
        yield "with distillation: hard", ("distillation_temperature",)
    if recipe.crop_scale is None:
        yield "without crop_scale", ("crop_ratio", "resizer")
        if recipe.auto_augment is None or not isinstance(parse_policy(recipe.auto_augment), RandAugment):
            yield "without crop_scale and RandAugment", ("interpolation",)
    if recipe.erase_prob == 0:
        yield "without erase_prob", ("erase_mode", "erase_count")
    if not recipe.mixes:
        names = ("mixup_prob", "mixup_switch_prob", "mixup_mode", "mixup_off_epoch", "mixup_first")
        yield "without mixup and cutmix", names
    elif not (recipe.mixup and recipe.cutmix):
        yield "unless there are both mixup and cutmix", ("mixup_switch_prob",)
    if not recipe.cutmix:
        yield "without cutmix", ("cutmix_grid",)
    if recipe.mixes and not recipe.erase_prob:
        yield "without erase_prob", ("mixup_first",)
    if recipe.optimiser == "sgd":
        yield "with optimiser: sgd", ("betas", "eps")
    else:
        yield f"with optimiser: {recipe.optimiser}", ("momentum",)
    if recipe.decay != "polynomial":
        yield f"with decay: {recipe.decay}", ("decay_power",)
    if recipe.warmup_epochs == 0:
        yield "without warmup_epochs", ("warmup", "warmup_prefix")
    if recipe.warmup == "harmonic":
        yield "with warmup: harmonic", ("warmup_lr",)
    if recipe.validation is None:
        yield "without validation", ("validation_by_seed",)
    if recipe.decay_all:
        yield "with decay_all", ("decay_position", "decay_relative_position")
