"""Trial ids and seeds: what they depend on, and that they stay what they are."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, Field
from ruamel.yaml import YAML

from suite import CODE_EPOCH
from suite.grid.grid import load_grid
from suite.grid.recipe import Recipe
from suite.grid.trial import Trial
from suite.store.canonical import canonical_json, derive_seed, fingerprint, resolved_values
from tests.conftest import GRID, REPOSITORY

GOLDEN = REPOSITORY / "tests" / "golden" / "trial_ids.json"

# A grid of its own, complete in itself, so that editing a grid or a recipe of the project doesn't touch it.
GOLDEN_GRID = """
name: golden
seed: 7
seeds: [0, 121]
recipe:
  {version: 2, epochs: 30, batch_size: 128, lr: 5.5e-4, warmup_epochs: 10, warmup_lr: 1e-5, min_lr: 1e-5,
   weight_decay: 0.06, decay_position: true, label_smoothing: 0.1, crop_padding: 4, flip: true, train_images: 5000}
architectures:
  own: {family: cct, conv_kernel: 3, conv_stride: 1, conv_padding: 1, conv_layers: 1, embed_dim: 64, depth: 4,
        num_heads: 4, mlp_ratio: 2}
impossible: drop
axes:
  arch: [own, vit_lite_7_4, cvt_7_4, cct_2_3x2]
  pe: [none, learnable, sin1d, sin2d]
  join: [default, shared, unshared, lape_shared, lape]
  dataset: [cifar10, cifar100]
"""


def trials_of(text: str, folder: Path) -> list[Trial]:
    path = folder / "grid.yaml"
    path.write_text(text)
    return list(load_grid(path).expand().trials)


@pytest.fixture
def trial(write_grid: Callable[..., Path]) -> Trial:
    return load_grid(write_grid()).expand().trials[0]


def test_golden_ids(tmp_path: Path) -> None:
    """Results of years depend on these. If this fails, undo the change, or raise CODE_EPOCH knowingly."""
    found = {trial.label: trial.id for trial in trials_of(GOLDEN_GRID, tmp_path)}
    assert found == json.loads(GOLDEN.read_text())


def shuffled(value: Any, rng: random.Random) -> Any:
    if isinstance(value, dict):
        keys = list(value)
        rng.shuffle(keys)
        return {key: shuffled(value[key], rng) for key in keys}
    return value


def reordered(document: dict[str, Any], rng: random.Random) -> dict[str, Any]:
    document = shuffled(document, rng)
    for axis in document["axes"].values():
        rng.shuffle(axis)
    rng.shuffle(document["seeds"])
    return document


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_the_order_of_keys_axes_lines_and_levels_does_not_matter(
    seed: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("order")
    yaml = YAML(typ="safe", pure=True)
    document = yaml.load(GRID.replace("[learnable]", "[learnable, sin1d]"))
    with (folder / "grid.yaml").open("w") as file:
        yaml.dump(reordered(document, random.Random(seed)), file)
    found = {trial.label: trial.id for trial in load_grid(folder / "grid.yaml").expand().trials}
    expected = trials_of(GRID.replace("[learnable]", "[learnable, sin1d]"), folder)
    assert found == {trial.label: trial.id for trial in expected}


CHANGES: dict[str, Any] = {
    "corruptions": st.builds(dict, images=st.integers(10, 600), severities=st.just([1])),
    "version": st.integers(2, 99),
    "epochs": st.integers(3, 10**4),
    "batch_size": st.integers(1, 63),
    "lr": st.floats(2e-3, 1.0),
    "warmup_epochs": st.just(1),
    "warmup_lr": st.floats(1e-9, 1e-3),
    "warmup": st.just("harmonic"),
    "warmup_prefix": st.just(True),
    "cooldown_epochs": st.integers(1, 99),
    "schedule_unit": st.just("step"),
    "schedule_lag": st.just(True),
    "min_lr": st.floats(1e-9, 1e-3),
    "weight_decay": st.floats(1e-9, 1.0),
    "decay_position": st.just(True),
    "decay_relative_position": st.just(False),
    "decay_all": st.just(True),
    "betas": st.tuples(st.floats(0.1, 0.8), st.floats(0.1, 0.9)),
    "eps": st.floats(2e-8, 1e-3),
    "clip_grad": st.floats(1e-3, 10),
    "ema_decay": st.floats(0.1, 0.999),
    "label_smoothing": st.floats(1e-6, 0.9),
    "crop_padding": st.integers(1, 8),
    "flip": st.just(True),
    "crop_scale": st.tuples(st.floats(0.1, 0.5), st.floats(0.5, 1.0)),
    "crop_ratio": st.tuples(st.floats(0.1, 0.7), st.floats(1.5, 5.0)),
    "auto_augment": st.sampled_from(["rand-m9-mstd0.5-inc1", "cifar10"]),
    "interpolation": st.sampled_from(["bilinear", "random"]),
    "resizer": st.just("torch"),
    "erase_prob": st.floats(0.3, 1.0),
    "erase_mode": st.sampled_from(["const", "rand"]),
    "erase_count": st.integers(2, 9),
    "mixup": st.floats(0.9, 9.0),
    "cutmix": st.floats(1.1, 9.0),
    "mixup_prob": st.floats(0, 0.9),
    "mixup_switch_prob": st.floats(0, 0.4),
    "mixup_mode": st.sampled_from(["pair", "elem"]),
    "cutmix_grid": st.integers(1, 8),
    "mixup_off_epoch": st.just(1),
    "mixup_first": st.just(True),
    "repeats": st.integers(2, 9),
    "cosine_weight": st.floats(0, 0.9),
    "contrastive_weight": st.floats(1.1, 9.0),
    "mixing_weight": st.floats(1.1, 9.0),
    "loss_weights": st.just({"poly_epsilon": 2.0}),
    "distillation": st.just("hard"),
    "teacher": st.just("test_vit"),
    "backbone_sha256": st.just("1" * 64),
    "pretrained": st.just({"axis": "join", "weights": {"default": "1" * 64, "lape": "2" * 64}}),
    "teacher_sha256": st.just("1" * 64),
    "distillation_alpha": st.floats(0, 0.4),
    "distillation_temperature": st.floats(4, 20),
    "train_images": st.integers(129, 1000),
    "vary": st.sampled_from([("init",), ("order", "dropout")]),
    "test_every": st.just(2),  # there are two epochs
    "validation": st.one_of(st.integers(1, 1000), st.floats(0.01, 0.99)),
    "validation_by_seed": st.just(True),
    "test_crop_ratio": st.floats(0.2, 0.99),
    "precision": st.just("fp32"),
}


# What a recipe must have for some keys to mean anything.
DISTILLING = {"distillation": "soft", "teacher": "test_resnet", "teacher_sha256": "0" * 64}
MIXING = {"mixup": 0.8, "cutmix": 1.0, "erase_prob": 0.25}
NEEDS: list[tuple[dict[str, Any], str]] = [
    (DISTILLING, "distillation teacher teacher_sha256 distillation_alpha distillation_temperature"),
    ({"warmup_epochs": 1}, "warmup warmup_prefix"),
    ({"crop_scale": (0.08, 1.0)}, "crop_ratio interpolation resizer"),
    ({"validation": 0.5}, "validation_by_seed"),
    ({"erase_prob": 0.25}, "erase_mode erase_count"),
    (MIXING, "cutmix_grid mixup_prob mixup_switch_prob mixup_mode mixup_off_epoch mixup_first"),
]


def test_every_key_of_a_recipe_is_tried() -> None:
    assert set(CHANGES) == set(Recipe.model_fields)


@settings(max_examples=150, deadline=None)
@given(change=st.sampled_from(sorted(CHANGES)), data=st.data())
def test_any_change_of_the_recipe_changes_the_id(
    change: str, data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    trial = trials_of(GRID, tmp_path_factory.mktemp("change"))[0]
    values = trial.recipe.model_dump() | next((needed for needed, keys in NEEDS if change in keys.split()), {})
    trial = replace(trial, recipe=Recipe.model_validate(values))
    other = replace(trial, recipe=Recipe.model_validate({**values, change: data.draw(CHANGES[change])}))
    assert other.id != trial.id
    assert other.cell_id != trial.cell_id


def test_every_distillation_has_an_id_of_its_own(trial: Trial) -> None:
    values = trial.recipe.model_dump()
    changes = [{}, DISTILLING, {**DISTILLING, "distillation": "hard"}, {**DISTILLING, "distillation_alpha": 0.1}]
    found = [replace(trial, recipe=Recipe.model_validate({**values, **change})).id for change in changes]
    assert found[0] == trial.id
    assert len(set(found)) == len(changes)


def variants(trial: Trial) -> Iterator[tuple[str, Trial]]:
    size = trial.arch.size.model_copy(update={"depth": 3})
    yield "arch", replace(trial, arch=replace(trial.arch, size=size))
    for axis, level in {"pe": "sin1d", "join": "lape", "norm": "other", "loss": "other"}.items():
        yield axis, trial.having(axis, level)
    yield "dataset", replace(trial, dataset=trial.dataset.model_copy(update={"name": "other"}))
    yield "checksum", replace(trial, dataset=trial.dataset.model_copy(update={"checksum": "0" * 64}))
    yield "mean", replace(trial, dataset=trial.dataset.model_copy(update={"mean": (0.25,)}))
    yield "grid seed", replace(trial, grid_seed=1)
    yield "seed index", replace(trial, seed_index=5)


def test_everything_that_fixes_the_outcome_changes_the_id(trial: Trial) -> None:
    ids = [trial.id, *(variant.id for _, variant in variants(trial))]
    assert len(set(ids)) == len(ids)
    assert trial.config["code_epoch"] == CODE_EPOCH


def test_names_of_grids_recipes_and_sizes_do_not(trial: Trial) -> None:
    for change in (
        {"grid": "other"},
        {"recipe_name": "other"},
        {"arch": replace(trial.arch, name="other")},
        {"dataset": trial.dataset.model_copy(update={"source": "elsewhere"})},
    ):
        assert replace(trial, **change).id == trial.id  # type: ignore[arg-type]


def test_the_id_is_16_hex_digits_of_the_config(trial: Trial) -> None:
    assert trial.id == fingerprint(json.loads(json.dumps(trial.config)))
    assert len(trial.id) == 16
    assert int(trial.id, 16) >= 0


def test_trials_of_a_cell_share_its_id_and_no_others(trial: Trial) -> None:
    assert replace(trial, seed_index=9).cell_id == trial.cell_id
    others = [variant.cell_id for name, variant in variants(trial) if name != "seed index"]
    assert trial.cell_id not in others


class TestSeeds:
    @pytest.mark.parametrize("purpose", ["initialisation", "order", "augmentation", "dropout"])
    def test_the_sides_of_a_contrast_share_them(self, trial: Trial, purpose: Any) -> None:
        for name, variant in variants(trial):
            same = variant.seed(purpose, 3) == trial.seed(purpose, 3)
            assert same == (name in ("pe", "join", "norm", "loss", "checksum", "mean")), name

    def test_purposes_and_epochs_do_not(self, trial: Trial) -> None:
        seeds = [trial.seed(purpose, epoch) for purpose in ("order", "augmentation", "dropout") for epoch in range(50)]
        assert len(set(seeds)) == len(seeds)

    @given(parts=st.lists(st.one_of(st.integers(), st.text(), st.floats(allow_nan=False, allow_infinity=False))))
    def test_a_seed_fits_a_generator(self, parts: list[Any]) -> None:
        assert 0 <= derive_seed(*parts) < 2**63


class TestCanonical:
    def test_order_and_spaces_do_not_matter_and_types_do(self) -> None:
        assert canonical_json({"b": [1, 2.0], "a": None}) == '{"a":null,"b":[1,2.0]}'
        assert canonical_json({"a": 1}) != canonical_json({"a": "1"})
        assert canonical_json([1, 2]) != canonical_json([2, 1])

    def test_nan_has_no_id(self) -> None:
        with pytest.raises(ValueError, match="not JSON compliant"):
            canonical_json({"a": float("nan")})

    def test_a_key_at_its_neutral_value_is_left_out(self) -> None:
        class Old(BaseModel):
            width: int = 3

        class New(Old):
            mixup: float = Field(default=0.8, json_schema_extra={"neutral": 0.0})

        assert resolved_values(New(mixup=0.0)) == resolved_values(Old())
        assert resolved_values(New()) == {"width": 3, "mixup": 0.8}
