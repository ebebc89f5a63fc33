"""Grids of segmentation: which architectures, recipes and losses go with masks."""

from __future__ import annotations

from pathlib import Path

import pytest

from suite.data.datasets import Dataset
from suite.errors import InputError
from suite.grid.grid import load_grid

GRID = """
name: scenes
description: made-up scenes
task: segmentation
seeds: [0, 1]
recipe: {base: digits, batch_size: 4, label_smoothing: 0.0}
architectures:
  small: {family: segmenter, patch_size: 4, embed_dim: 16, depth: 2, num_heads: 2, mlp_ratio: 2}
datasets:
  scenes:
    num_classes: 3
    image_size: 16
    channels: 3
    train_images: 6
    test_images: 4
    mean: [0.5, 0.5, 0.5]
    std: [0.2, 0.2, 0.2]
    checksum: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa
    segmentation: {classes: 3, train: train, test: val}
axes:
  arch: [small]
  pe: [learnable]
  join: [default, lape]
  norm: [ln]
  dataset: [scenes]
"""


WINDOWS = ("val}", "val, height: 24, width: 32}")
CLASSES = ("task: segmentation", "task: classification")
SCENES = ("batch_size: 4,", "batch_size: 4, scenes: {stride: 10},")


def expanded(folder: Path, *changes: tuple[str, str]) -> list[str]:
    text = GRID
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    (folder / "scenes.yaml").write_text(text, encoding="utf-8")
    return [trial.label for trial in load_grid(folder / "scenes.yaml").expand().trials]


def refused(folder: Path, *changes: tuple[str, str]) -> str:
    with pytest.raises(InputError) as caught:
        expanded(folder, *changes)
    assert len(caught.value.problems) == 1
    assert "scenes.yaml, line" in caught.value.problems[0].where
    return str(caught.value)


@pytest.mark.parametrize(
    "key",
    ["flip: true", "crop_padding: 2", "crop_scale: [0.5, 1.0]", "train_images: 5, batch_size: 2", "validation: 1",
     "repeats: 2", "ema_decay: 0.9"],
)  # fmt: skip
def test_what_goes_with_masks(tmp_path: Path, key: str) -> None:
    change = ("batch_size: 4", key if "batch_size" in key else f"batch_size: 4, {key}")
    assert len(expanded(tmp_path, change)) == 4


@pytest.mark.parametrize(
    "key",
    ["auto_augment: cifar10", "erase_prob: 0.1", "mixup: 0.8", "cutmix: 1.0", "test_crop_ratio: 0.9",
     "corruptions: {kinds: [fog]}"],
)  # fmt: skip
def test_what_masks_can_not_follow(tmp_path: Path, key: str) -> None:
    told = refused(tmp_path, ("batch_size: 4", f"batch_size: 4, {key}"))
    assert "the recipe has what masks can't follow, and scenes has masks" in told
    assert f"leave {key.partition(':')[0]} out" in told


@pytest.mark.parametrize("arch", ["deit_tiny", "resnet20", "lra_small"])
def test_masks_are_for_semantic_heads(tmp_path: Path, arch: str) -> None:
    changes = [("arch: [small]", f"arch: [{arch}]"), ("join: [default, lape]", "join: [default]")]
    told = refused(tmp_path, *changes, ("pe: [learnable]", "pe: [none]"))
    assert f"arch {arch} on scenes" in told
    assert "an architecture of images with masks, which the data set has" in told
    assert "choose a size of segmenter or segmenter_lite" in told


def test_semantic_heads_are_for_masks(tmp_path: Path) -> None:
    told = refused(tmp_path, ("dataset: [scenes]", "dataset: [digits]"), CLASSES)
    assert "arch small on digits: it is of images with masks" in told


@pytest.mark.parametrize("loss", ["focal", "diverse_cosine"])
def test_other_losses_are_of_whole_images(tmp_path: Path, loss: str) -> None:
    told = refused(tmp_path, ("  join: [default, lape]", f"  join: [default]\n  loss: [{loss}]"))
    assert f"loss {loss} is of whole images, and scenes has masks" in told


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("num_classes: 3", "num_classes: 4", "num_classes of segmentation.classes"),
        ("    segmentation:", "    storage: folder\n    segmentation:", "storage: arrays"),
        ("classes: 3, train: train", "classes: 3, train: val", "each name once, in train or in test"),
    ],
)
def test_a_declaration_that_contradicts_itself(tmp_path: Path, old: str, new: str, message: str) -> None:
    assert message in refused(tmp_path, (old, new))


def test_a_data_set_without_masks_is_declared_as_before() -> None:
    values = {
        "name": "plain", "num_classes": 2, "image_size": 8, "channels": 1, "train_images": 4, "test_images": 2,
        "mean": (0.5,), "std": (0.2,), "checksum": "a" * 64,
    }  # fmt: skip
    assert "segmentation" not in Dataset.model_validate(values).model_dump()


def test_images_larger_than_the_input_need_scenes(tmp_path: Path):
    assert len(expanded(tmp_path, WINDOWS, SCENES)) == 4
    assert "the recipe doesn't crop them" in refused(tmp_path, WINDOWS)
    assert "images larger than the model's input" in refused(tmp_path, SCENES)


@pytest.mark.parametrize("key", ["crop_padding: 2", "crop_scale: [0.5, 1.0]", "mixup: 0.8"])
def test_images_larger_than_the_input_have_no_other_crop(tmp_path: Path, key: str):
    said = refused(tmp_path, WINDOWS, ("batch_size: 4,", f"batch_size: 4, scenes: {{}}, {key},"))
    assert key.partition(":")[0] in said


def test_windows_leave_no_pixel_out(tmp_path: Path):
    said = refused(tmp_path, WINDOWS, ("batch_size: 4,", "batch_size: 4, scenes: {stride: 17},"))
    assert "a stride of at most 16 pixels" in said


@pytest.mark.parametrize(
    ("scenes", "said"),
    [("scale: [2.0, 0.5]", "scale must rise"), ("stride: 0", "stride"), ("most_of_a_class: 0", "most_of_a_class"),
     ("zoom: 2", "zoom")],
)  # fmt: skip
def test_settings_of_scenes_that_cant_be(tmp_path: Path, scenes: str, said: str):
    assert said in refused(tmp_path, WINDOWS, ("batch_size: 4,", f"batch_size: 4, scenes: {{{scenes}}},"))


def test_any_backbone_can_have_a_head(tmp_path: Path):
    """The semantic head goes with masks, the same backbone without it doesn't, and the head not with classes."""
    small = ("family: segmenter,", "family: semantic, backbone: cvt,")
    assert len(expanded(tmp_path, small)) == 4
    assert "it is of images" in refused(tmp_path, ("family: segmenter,", "family: cvt,"))
    assert "images with masks" in refused(
        tmp_path, small, CLASSES, ("    segmentation: {classes: 3, train: train, test: val}\n", "")
    )
    assert "which is frozen" in refused(tmp_path, ("family: segmenter,", "family: semantic, backbone: dcn_small_16,"))
