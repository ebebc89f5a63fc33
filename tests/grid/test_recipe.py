"""Recipes: which values go together."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from suite.errors import InputError
from suite.grid.documents import load_document
from suite.grid.recipe import Recipe
from suite.store.canonical import resolved_values
from tests.conftest import REPOSITORY

PLAIN = {"version": 1, "epochs": 1, "batch_size": 1, "lr": 1.0}
TEACHER = {"teacher": "regnety_160.deit_in1k", "teacher_sha256": "0a" * 32}


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({"distillation": "hard"}, "needs a teacher"),
        ({"distillation": "soft", "teacher": "regnety_160"}, "needs a teacher_sha256"),
        ({"distillation": "soft", **TEACHER, "teacher_sha256": "0a"}, "should match pattern"),
        ({"distillation": "soft", **TEACHER, "teacher_sha256": "0A" * 32}, "should match pattern"),
        ({"distillation": "soft", **TEACHER, "teacher": "../regnety_160"}, "should match pattern"),
        ({"distillation": "soft", **TEACHER, "teacher": "hf-hub:regnety_160"}, "should match pattern"),
        ({"distillation": "soft", **TEACHER, "distillation_alpha": 1.5}, "less than or equal to 1"),
        ({"distillation": "soft", **TEACHER, "distillation_temperature": 0.0}, "greater than 0"),
        ({"distillation": "hard", **TEACHER, "distillation_temperature": 1.0}, "temperature has no effect"),
        ({**TEACHER}, "teacher has no effect with distillation: none"),
        ({"teacher_sha256": "0a" * 32}, "teacher_sha256 has no effect"),
        ({"distillation_alpha": 0.1}, "distillation_alpha has no effect"),
        ({"distillation_temperature": 1.0}, "distillation_temperature has no effect"),
    ],
)
def test_a_distillation_is_whole_or_not_there(values: dict[str, Any], told: str) -> None:
    with pytest.raises(ValidationError, match=told):
        Recipe.model_validate({**PLAIN, **values})


MIXING = {"batch_size": 4, "mixup": 0.8, "cutmix": 1.0}


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({"auto_augment": "rand-m9-mstd0.5-x1"}, r"at character 17 of 'rand-m9-mstd0.5-x1'; not 'x1'"),
        ({"auto_augment": "augmix"}, "at character 1 of 'augmix'; not 'augmix'; choose one of: cifar10"),
        ({**MIXING, "batch_size": 3}, "an even batch_size, to mix images in pairs, not 3"),
        ({"cutmix": 1.0}, "an even batch_size"),
        ({**MIXING, "epochs": 9, "mixup_off_epoch": 9}, r"mixup_off_epoch \(9\) must be less"),
        ({"crop_scale": (0.5, 0.4)}, "crop_scale must rise from above 0 to at most 1"),
        ({"crop_scale": (0.0, 0.4)}, "crop_scale must rise"),
        ({"crop_scale": (0.5, 1.4)}, "crop_scale must rise"),
        ({"crop_scale": (0.5, 1.0), "crop_ratio": (2.0, 1.0)}, "crop_ratio must rise"),
        (
            {"crop_scale": (0.5, 1.0), "crop_ratio": (1e-4, 1.0)},
            "crop_ratio must rise from at least 0.001 to at most 1000",
        ),
        ({"crop_scale": (0.5, 1.0), "crop_ratio": (1.0, 1001.0)}, "crop_ratio must rise"),
        ({"crop_scale": (0.5, 1.0), "crop_padding": 4}, "one kind of crop"),
        ({"epochs": 9, "warmup_epochs": 2, "warmup": "harmonic", "schedule_unit": "step"}, "no bound between epochs"),
        ({"crop_ratio": (0.5, 2.0)}, "crop_ratio has no effect without crop_scale"),
        ({"resizer": "torch"}, "resizer has no effect without crop_scale"),
        ({"interpolation": "random"}, "interpolation has no effect without crop_scale and RandAugment"),
        ({"interpolation": "random", "auto_augment": "cifar10"}, "interpolation has no effect"),
        ({"momentum": 0.9}, "momentum has no effect with optimiser: adamw"),
        ({"optimiser": "sgd", "betas": (0.8, 0.9)}, "betas has no effect with optimiser: sgd"),
        ({"optimiser": "sgd", "eps": 1e-6}, "eps has no effect with optimiser: sgd"),
        ({"decay_power": 0.9}, "decay_power has no effect with decay: cosine"),
        ({"erase_mode": "const"}, "erase_mode has no effect without erase_prob"),
        ({"erase_count": 2}, "erase_count has no effect"),
        ({"mixup_prob": 0.5}, "mixup_prob has no effect without mixup and cutmix"),
        ({"mixup_off_epoch": 0, "mixup_mode": "elem"}, "mixup_mode has no effect"),
        ({**MIXING, "cutmix": 0.0, "mixup_switch_prob": 0.1}, "mixup_switch_prob has no effect unless there are both"),
        ({**MIXING, "mixup_first": True}, "mixup_first has no effect without erase_prob"),
        ({"warmup": "harmonic"}, "warmup has no effect without warmup_epochs"),
        ({"warmup_prefix": True}, "warmup_prefix has no effect"),
        (
            {"epochs": 9, "warmup_epochs": 2, "warmup": "harmonic", "warmup_lr": 0.1},
            "warmup_lr has no effect with warmup: harmonic",
        ),
        ({"batch_size": 32, "cpu_micro_batch": 32}, "cpu_micro_batch has no effect unless it is below batch_size"),
        ({"decay_all": True, "decay_position": True}, "decay_position has no effect with decay_all"),
        ({"decay_all": True, "decay_relative_position": False}, "decay_relative_position has no effect with decay_all"),
        ({"ema_decay": 1.0}, "less than 1"),
        ({"clip_grad": 0.0}, "greater than 0"),
        ({"test_crop_ratio": 0.0}, "greater than 0.1"),
        ({"test_every": 4, "epochs": 2, "cooldown_epochs": 1}, r"test_every \(4\) must not exceed epochs \(3\)"),
    ],
)
def test_what_cannot_be_or_means_nothing_is_refused(values: dict[str, Any], told: str) -> None:
    with pytest.raises(ValidationError, match=told):
        Recipe.model_validate({**PLAIN, **values})


def test_a_policy_that_cannot_be_read_is_told_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "some.yaml"
    path.write_text("version: 1\nepochs: 1\nbatch_size: 2\nlr: 1.0\nauto_augment: rand-m9-mstd0.5-x1\n")
    with pytest.raises(InputError, match=r"(?s)auto_augment can't be used.*at character 17.*line 5"):
        load_document(path, Recipe)


def test_keys_that_came_later_are_left_out_where_they_change_nothing() -> None:
    """Results that were stored before them keep their ids."""
    first = "version epochs batch_size lr warmup_epochs warmup_lr min_lr weight_decay decay_position betas"
    more = "label_smoothing crop_padding flip train_images test_every precision"
    assert set(resolved_values(Recipe.model_validate(PLAIN))) == set(f"{first} {more}".split())


@pytest.mark.parametrize("path", sorted((REPOSITORY / "grids" / "recipes").glob("*.yaml")), ids=lambda path: path.stem)
def test_the_recipes_here_are_good(path: Path) -> None:
    recipe = load_document(path, Recipe)
    if recipe.auto_augment is not None:
        assert recipe.total_epochs in (200, 300, 310)


def test_dtns_recipe_is_what_its_released_trainer_does() -> None:
    """Its scripts/train.sh: two GPUs of 128 images. Mixing is disabled, lr scaled, augmentation repeated (train.py)."""
    recipe = load_document(REPOSITORY / "grids" / "recipes" / "dtn.yaml", Recipe)
    assert not recipe.mixes
    assert (recipe.batch_size, recipe.lr) == (2 * 128, 5e-4 * 2 * 128 / 512)
    assert (recipe.epochs, recipe.cooldown_epochs, recipe.repeats) == (300, 0, 3)
    assert (recipe.label_smoothing, recipe.ema_decay, recipe.erase_prob) == (0.1, 0.99996, 0.0)
    assert not recipe.decay_position


def test_only_swins_recipe_spares_the_tables_of_a_relative_position() -> None:
    recipes = {path.stem: load_document(path, Recipe) for path in (REPOSITORY / "grids" / "recipes").glob("*.yaml")}
    assert [name for name, recipe in recipes.items() if not recipe.decay_relative_position] == ["swin"]


def test_a_recipe_without_a_teacher_is_what_it_was_before_there_were_any() -> None:
    assert not any("teach" in key or "distil" in key for key in resolved_values(Recipe.model_validate(PLAIN)))


def test_a_distillation_is_part_of_the_id() -> None:
    values = {"distillation": "soft", **TEACHER, "distillation_alpha": 0.1, "distillation_temperature": 1.0}
    assert resolved_values(Recipe.model_validate({**PLAIN, **values})).items() >= values.items()
