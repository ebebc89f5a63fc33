"""Features of regions and of their crops; photographs in VOC's layout. The scenes are made up."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch.nn.functional import normalize

from benchmarks.region_features import crop_features, mean_features, read_split, region_numbers
from benchmarks.regions import normalised
from suite.data.datasets import DATASETS
from suite.errors import InputError
from suite.models.regions.backbone import read_backbone
from suite.models.regions.partition import Partition
from tests.models.regions.test_backbone import cell, written


def scenes(folder: Path, split: str, count: int) -> None:
    """Write photographs of two colours, in the two classes of their halves. Some pixels are ignored."""
    for part in ("ImageSets/Segmentation", "JPEGImages", "SegmentationClass"):
        (folder / part).mkdir(parents=True, exist_ok=True)
    names = [f"{split}_{number}" for number in range(count)]
    for number, name in enumerate(names):
        mask = np.repeat([[number % 2] * 8 + [1 - number % 2] * 8], 16, axis=0).astype(np.uint8)
        Image.fromarray(np.array([[200, 30, 30], [30, 30, 200]], np.uint8)[mask]).save(
            folder / "JPEGImages" / f"{name}.jpg"
        )
        mask[0, :3] = 255
        drawn = Image.fromarray(mask)
        drawn.putpalette([0, 0, 0, 255, 255, 255])
        drawn.save(folder / "SegmentationClass" / f"{name}.png")
    (folder / "ImageSets" / "Segmentation" / f"{split}.txt").write_text("\n".join(names) + "\n")


def test_features_of_regions_are_means_over_their_patches() -> None:
    features = torch.tensor([[[2.0, 0], [0, 3], [0, 1]], [[1, 0], [4, 0], [0, 1]]])
    regions = Partition(torch.tensor([[0, 0, 1], [0, 0, 0]]), torch.tensor([2, 1]))
    assert region_numbers(regions).tolist() == [[0, 0, 1], [2, 2, 2]]
    torch.testing.assert_close(mean_features(features, regions), torch.tensor([[0.5, 0.5], [0.0, 1.0], [2 / 3, 1 / 3]]))


def test_features_of_crops_are_those_of_the_photographs_parts(tmp_path: Path) -> None:
    """A region of the left half has the feature of the left half, saved as a photograph of its own."""
    scenes(tmp_path, "train", 2)
    read = read_split(tmp_path, "train")
    backbone = read_backbone(written(tmp_path, cell()), None, 16)
    halves = torch.tensor([[0] * 2 + [1] * 2] * 4).flatten()
    regions = Partition(torch.stack([halves, torch.zeros_like(halves)]), torch.tensor([2, 1]))
    found = crop_features(read, regions, backbone)
    with Image.open(read[0].image) as image, Image.open(read[1].image) as other:
        parts = [image.crop((0, 0, 8, 16)), image.crop((8, 0, 16, 16)), other.copy()]
    squares = np.stack([np.asarray(part.resize((16, 16), Image.Resampling.BICUBIC)) for part in parts])
    cifar = DATASETS["cifar10"]
    expected = backbone.image_features(normalised(squares, cifar.mean, cifar.std))
    torch.testing.assert_close(found, normalize(expected, dim=1), rtol=0.01, atol=0.01)  # Pillow rounds to bytes
    assert not torch.allclose(found[0], found[1], atol=0.1)


def test_a_folder_of_another_layout_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="names of photographs"):
        read_split(tmp_path, "train")
    scenes(tmp_path, "train", 2)
    mask = tmp_path / "SegmentationClass" / "train_1.png"
    Image.new("P", (3, 3)).save(mask)
    with pytest.raises(InputError, match="a palette image of") as error:
        read_split(tmp_path, "train")
    assert "train_1.png" in str(error.value)
    mask.unlink()
    with pytest.raises(InputError, match=r"the files of train_1, which train\.txt names"):
        read_split(tmp_path, "train")
