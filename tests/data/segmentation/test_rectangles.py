"""Preparing images with masks that keep their proportions, and data sets whose checksum covers numbers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from suite.data.arrays import measure
from suite.data.cache import load_meta, load_split, verify
from suite.data.images import load_images
from suite.data.scene_images import SceneImages
from suite.data.scenes import draw_scaled_crops
from suite.data.segmentation.preparation import prepare_masks
from suite.data.segmentation.settings import PADDING, Segmentation
from suite.errors import InputError
from tests.data.segmentation.test_preparation import prepared
from tests.scenes import CLASSES, save_mask, scene, write_voc

RULE = Segmentation(classes=CLASSES, height=16, width=24)


def write_mixed(folder: Path) -> Path:
    """Scenes of 24×16 pixels, but scene0 of 16×32 (upright) and scene6 of 48×16 (wide)."""
    write_voc(folder)
    for number, width, height in ((0, 16, 32), (6, 48, 16)):
        image, mask = scene(number, width=width, height=height)
        Image.fromarray(image).save(folder / f"JPEGImages/scene{number}.png")
        save_mask(mask, folder / f"SegmentationClass/scene{number}.png")
    return folder


def test_images_of_the_size_are_kept_as_they_are(tmp_path: Path):
    dataset = prepared(write_voc(tmp_path / "voc"), tmp_path / "cache", RULE, size=8)
    assert dataset.windowed
    assert (dataset.shape, dataset.size_text) == ((3, 8, 8), "8×8×3 of up to 24×16")
    verify(dataset, tmp_path / "cache")
    split = load_split(dataset, "train", tmp_path / "cache")
    assert split.images.shape == (6, 16, 24, 4)
    known = set()
    for number in range(6):
        image, mask = scene(number)
        known.add(np.dstack([image, np.where(mask == 255, 0, mask + 1)]).astype(np.uint8).tobytes())
    assert {one.tobytes() for one in split.images} == known


def test_others_keep_their_proportions_in_the_upper_left(tmp_path: Path):
    dataset = prepared(write_mixed(tmp_path / "voc"), tmp_path / "cache", RULE, size=8)
    train, test = (load_images(dataset, split, tmp_path / "cache") for split in ("train", "test"))
    assert isinstance(train, SceneImages)
    assert isinstance(test, SceneImages)
    assert sorted(map(tuple, train.sizes.tolist())) == [(16, 8), *[(16, 24)] * 5]
    assert sorted(map(tuple, test.sizes.tolist())) == [(8, 24), *[(16, 24)] * 3]
    upright = train.pixels[train.sizes[:, 1] == 8][0]
    assert (upright[:, 8:, 3] == PADDING).all()
    assert (upright[:, 8:, :3] == 0).all()
    assert (upright[:, :8, 3] <= CLASSES).all()
    image, mask = scene(0, width=16, height=32)
    small = np.asarray(Image.fromarray(image).resize((8, 16), Image.Resampling.BICUBIC))
    assert (upright[:, :8, :3].numpy() == small).all()
    values = np.asarray(Image.fromarray(mask).resize((8, 16), Image.Resampling.NEAREST))
    assert (upright[:, :8, 3].numpy() == np.where(values == 255, 0, values + 1)).all()


def test_mean_and_deviation_are_of_the_images_own_pixels(tmp_path: Path):
    dataset = prepared(write_mixed(tmp_path / "voc"), tmp_path / "cache", RULE, size=8)
    images = load_images(dataset, "train", tmp_path / "cache")
    assert isinstance(images, SceneImages)
    own = [
        one[:rows, :columns, :3].numpy()
        for one, (rows, columns) in zip(images.pixels, images.sizes.tolist(), strict=True)
    ]
    assert (dataset.mean, dataset.std) == measure(own)


def test_crops_of_an_image_dont_show_the_padding(tmp_path: Path):
    dataset = prepared(write_mixed(tmp_path / "voc"), tmp_path / "cache", RULE, size=8)
    images = load_images(dataset, "train", tmp_path / "cache").to("cpu")
    drawn = draw_scaled_crops(6 * 20, (0.5, 2.0), 0.75, torch.Generator().manual_seed(0))
    found = images.start(torch.arange(6).repeat(20), drawn).result()
    assert found.shape == (120, 4, 8, 8)
    assert found[:, 3].max() <= CLASSES


def test_a_checksum_of_numbers_is_that_of_other_pixels_too(tmp_path: Path):
    """So a grid can declare data that nobody may pass on. Damage is still found, by the checksum in the cache."""
    rule = RULE.model_copy(update={"covers": "counts"})
    made = []
    for name, write in (("a", write_voc), ("b", write_mixed)):
        source = write(tmp_path / f"voc-{name}")
        dataset = prepare_masks("scenes", rule, root=tmp_path / name, source=source, image_size=8)
        verify(dataset, tmp_path / name)
        meta = load_meta("scenes", tmp_path / name)
        assert meta is not None
        made.append((dataset, meta.index))
    (first, of_first), (second, of_second) = made
    assert first.checksum == second.checksum == rule.counted(6, 4, 8, 3)
    assert of_first != of_second
    path = tmp_path / "a" / "scenes" / "train-images.npy"
    content = bytearray(path.read_bytes())
    content[-5] ^= 1
    path.write_bytes(content)
    with pytest.raises(InputError, match="damaged"):
        verify(first, tmp_path / "a")


def test_more_than_two_gibibytes_are_for_those_who_ask(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("suite.data.squares.ARRAYS_LIMIT", 1000)
    source = write_voc(tmp_path / "voc")
    with pytest.raises(InputError, match="too large to be kept as arrays") as refused:
        prepared(source, tmp_path / "cache", RULE, size=8)
    assert "--storage arrays" in str(refused.value)
    dataset = prepare_masks(
        "scenes", RULE, root=tmp_path / "cache", source=source, image_size=8, storage="arrays"
    )  # fmt: skip
    verify(dataset, tmp_path / "cache")


def test_a_window_is_no_larger_than_the_images(tmp_path: Path):
    with pytest.raises(InputError, match="larger than the images"):
        prepared(write_voc(tmp_path / "voc"), tmp_path / "cache", RULE, size=20)
