"""Preparing images with masks: both layouts, what is stored, and bad files."""

from __future__ import annotations

import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from suite.data.cache import load_split, verify
from suite.data.crops import draw_crops
from suite.data.datasets import Dataset
from suite.data.images import MaskedImages, load_images
from suite.data.segmentation.preparation import prepare_masks
from suite.data.segmentation.settings import Segmentation
from suite.errors import InputError
from tests.scenes import CLASSES, save_mask, scene, write_folders, write_voc

RULE = Segmentation(classes=CLASSES)


def prepared(source: Path, root: Path, rule: Segmentation = RULE, name: str = "scenes", size: int = 16) -> Dataset:
    return prepare_masks(name, rule, root=root, source=source, image_size=size)


def test_a_voc_folder(tmp_path: Path):
    dataset = prepared(write_voc(tmp_path / "voc"), tmp_path / "cache")
    assert (dataset.train_images, dataset.test_images, dataset.num_classes) == (6, 4, CLASSES)
    assert (dataset.channels, dataset.image_size, dataset.shape) == (3, 16, (3, 16, 16))
    verify(dataset, tmp_path / "cache")
    split = load_split(dataset, "train", tmp_path / "cache")
    assert split.images.shape == (6, 16, 16, 4)
    crops = {}  # the scenes are 24×16, so nothing is resized: the middle is kept
    for number in range(6):
        image, mask = scene(number)
        crops[image[:, 4:20].tobytes()] = np.where(mask == 255, 0, mask + 1)[:, 4:20]
    for pixels in split.images:
        assert np.array_equal(pixels[..., 3], crops[pixels[..., :3].tobytes()])


def test_two_folders_are_the_same_data(tmp_path: Path):
    """The same scenes in another layout and with other values are the same arrays."""
    voc = prepared(write_voc(tmp_path / "voc"), tmp_path / "cache", name="voc")
    rule = Segmentation(classes=CLASSES, first_value=1)
    folders = prepared(write_folders(tmp_path / "two"), tmp_path / "cache", rule, name="two")
    assert voc.checksum != folders.checksum  # the rules differ
    for split in ("train", "test"):
        one, other = (load_split(dataset, split, tmp_path / "cache") for dataset in (voc, folders))
        assert np.array_equal(one.images, other.images)


def test_an_archive(tmp_path: Path):
    write_voc(tmp_path / "made/voc")
    with zipfile.ZipFile(tmp_path / "voc.zip", "w") as archive:
        for path in sorted((tmp_path / "made").rglob("*.*")):
            archive.write(path, path.relative_to(tmp_path / "made"))
    of_archive = prepared(tmp_path / "voc.zip", tmp_path / "cache")
    assert of_archive.checksum == prepared(tmp_path / "made/voc", tmp_path / "cache", name="other").checksum


def test_masks_are_resized_to_the_nearest_pixel(tmp_path: Path):
    dataset = prepared(write_voc(tmp_path / "voc"), tmp_path / "cache", size=8)
    values = load_split(dataset, "test", tmp_path / "cache").images[..., 3]
    assert set(np.unique(values)) <= {0, 1, 2, 3}
    expected = []
    for number in range(6, 10):
        mask = Image.fromarray(scene(number)[1], "L").resize((12, 8), Image.Resampling.NEAREST).crop((2, 0, 10, 8))
        expected.append((np.array(mask) + np.uint8(1)).tobytes())
    assert sorted(value.tobytes() for value in values) == sorted(expected)


def test_unchanged_files_are_not_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    source = write_voc(tmp_path / "voc")
    first = prepared(source, tmp_path / "cache")
    monkeypatch.setattr("suite.data.segmentation.preparation.read_pairs", None)
    assert prepared(source, tmp_path / "cache") == first
    monkeypatch.undo()
    mask = scene(3)[1]
    mask[-1, 10] = 0
    save_mask(mask, source / "SegmentationClass/scene3.png")
    assert prepared(source, tmp_path / "cache").checksum != first.checksum


def test_crops_move_the_mask_with_its_image(tmp_path: Path):
    """On an image whose colours are its mask, each crop's colours must be its mask's."""
    drawn = torch.randint(0, 3, (5, 1, 2, 2), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    masks = drawn.repeat_interleave(8, 2).repeat_interleave(8, 3)
    pixels = torch.cat([masks * 80, masks * 80, masks * 80, masks], dim=1).permute(0, 2, 3, 1).contiguous()
    images = MaskedImages(pixels, torch.zeros(5, dtype=torch.int64))
    crops = draw_crops(5, (0.2, 0.9), (0.75, 4 / 3), torch.zeros(5, dtype=torch.bool), torch.Generator().manual_seed(1))
    found = images.cropped(torch.arange(5), crops)
    assert found.shape == (5, 4, 16, 16)
    assert found.dtype == torch.uint8
    assert set(found[:, 3].unique().tolist()) <= {0, 1, 2}
    same = (found[:, 0].float() / 80 - found[:, 3].float()).abs() < 0.5
    assert same.float().mean() > 0.93  # bilinear colours differ at the edges
    windows = crops.windows(torch.full((5,), 16), torch.full((5,), 16))
    for number, (top, left, tall, wide) in enumerate(windows.tolist()):
        whole = Image.fromarray(pixels[number, ..., 3].numpy(), "L").crop((left, top, left + wide, top + tall))
        expected = np.array(whole.resize((16, 16), Image.Resampling.NEAREST))
        assert np.array_equal(found[number, 3].numpy(), expected)


def test_loaded_with_masks(tmp_path: Path):
    dataset = prepared(write_voc(tmp_path / "voc"), tmp_path / "cache")
    images = load_images(dataset, "train", tmp_path / "cache")
    assert isinstance(images, MaskedImages)
    assert images.shape == (4, 16, 16)
    assert isinstance(images.to("meta"), MaskedImages)


def _other_size(folder: Path) -> None:
    save_mask(np.zeros((9, 24), dtype=np.uint8), folder / "SegmentationClass/scene2.png")


def _unknown_value(folder: Path) -> None:
    save_mask(np.full((16, 24), 7, dtype=np.uint8), folder / "SegmentationClass/scene2.png")


def _coloured(folder: Path) -> None:
    Image.new("RGB", (24, 16)).save(folder / "SegmentationClass/scene2.png")


def _no_mask(folder: Path) -> None:
    (folder / "SegmentationClass/scene2.png").unlink()


def _no_image(folder: Path) -> None:
    (folder / "JPEGImages/scene2.png").unlink()


def _empty(folder: Path) -> None:
    (folder / "ImageSets/Segmentation/val.txt").write_text("\n")


def _no_list(folder: Path) -> None:
    (folder / "ImageSets/Segmentation/val.txt").unlink()


def _twice(folder: Path) -> None:
    (folder / "ImageSets/Segmentation/val.txt").write_text("scene6\nscene7\nscene6\n")


def _path_in_list(folder: Path) -> None:
    (folder / "ImageSets/Segmentation/val.txt").write_text("../../secret\n")


def _damaged(folder: Path) -> None:
    path = folder / "SegmentationClass/scene2.png"
    path.write_bytes(path.read_bytes()[:60])


def _no_text(folder: Path) -> None:
    (folder / "ImageSets/Segmentation/val.txt").write_bytes(b"\xff\xfe\x00")


def _class_missing(folder: Path) -> None:
    for number in range(6, 10):
        save_mask(scene(number)[1] % 2, folder / f"SegmentationClass/scene{number}.png")


def _neither(folder: Path) -> None:
    shutil.rmtree(folder / "ImageSets")


@pytest.mark.parametrize(
    ("spoil", "what", "where"),
    [
        (_other_size, "a mask has another size than its image", "scene2.png"),
        (_unknown_value, "a mask has values of no class", "scene2.png"),
        (_coloured, "a mask has colours instead of the values of classes", "scene2.png"),
        (_no_mask, "an image has no mask", "scene2"),
        (_no_image, "an image of a list is missing", "train.txt, line 3"),
        (_empty, "the split 'val' is empty", "val.txt"),
        (_no_list, "the list 'val' can't be read", "val.txt"),
        (_twice, "the test split has an image twice", "val.txt"),
        (_path_in_list, "a list names something else than an image", "val.txt, line 1"),
        (_damaged, "an image can't be read", "scene2.png"),
        (_no_text, "the list 'val' can't be read", "val.txt"),
        (_class_missing, "the test split has no pixel of a class", "voc"),
        (_neither, "no images with masks", "voc"),
    ],
)
def test_bad_files(spoil: Callable[[Path], None], what: str, where: str, tmp_path: Path):
    folder = write_voc(tmp_path / "voc")
    spoil(folder)
    with pytest.raises(InputError) as refused:
        prepared(folder, tmp_path / "cache")
    (problem,) = refused.value.problems
    assert problem.what == what
    assert where in problem.where
    assert problem.expected
    assert problem.found
    assert problem.fix
    assert not (tmp_path / "cache/scenes").exists()


def test_bad_folders(tmp_path: Path):
    folder = write_folders(tmp_path / "two")
    (folder / "masks/val/scene7.png").unlink()
    rule = Segmentation(classes=CLASSES, first_value=1)
    with pytest.raises(InputError, match="an image has no mask"):
        prepared(folder, tmp_path / "cache", rule)
    with pytest.raises(InputError, match="there is no folder 'test' of images"):
        prepared(folder, tmp_path / "cache", Segmentation(classes=CLASSES, test="test"))
    for path in (folder / "images/val").iterdir():
        path.unlink()
    with pytest.raises(InputError, match="the split 'val' is empty"):
        prepared(folder, tmp_path / "cache", rule)


def test_a_value_of_no_class_is_named(tmp_path: Path):
    """Masks that count from 1 are refused with first_value 0, and the message says how to mend it."""
    folder = write_folders(tmp_path / "two")
    with pytest.raises(InputError) as refused:
        prepared(folder, tmp_path / "cache", Segmentation(classes=CLASSES))
    (problem,) = refused.value.problems
    assert (problem.expected, problem.found) == ("0 to 2 for 3 classes, 255 for ignored pixels", "3")
    assert "first_value" in problem.fix
