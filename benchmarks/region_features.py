"""Photographs with class masks, and the features of their patches, regions and regions' crops."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn.functional import normalize, one_hot

from benchmarks.regions import normalised
from suite.data.bsds500 import Annotated
from suite.data.datasets import DATASETS
from suite.data.decode import open_image
from suite.errors import InputError
from suite.models.regions.backbone import Backbone, Features
from suite.models.regions.crops import crop_and_resize, region_boxes
from suite.models.regions.partition import Partition

FEATURES = ("mean", "crop")  # of a region: over its patches, or of the box around it


class Split(NamedTuple):
    """The photographs of a list, and the features of their patches.

    Attributes:
        photographs: with their classes, one annotation for each.
        features: of the patches, and the attention that they get.
    """

    photographs: list[Annotated]
    features: Features


def read_split(folder: Path, split: str) -> list[Annotated]:
    """Read the photographs and class masks of a split in VOC's layout. Masks are palette images.

    Raises:
        InputError: the list, a photograph or a mask is missing, or a mask has another size than its photograph.
    """
    path = folder / "ImageSets" / "Segmentation" / f"{split}.txt"
    names = path.read_text(encoding="utf-8").split() if path.is_file() else []
    if not names:
        raise _wrong("names of photographs, one a line", "none", path)
    found = []
    for name in names:
        photograph, mask = folder / "JPEGImages" / f"{name}.jpg", folder / "SegmentationClass" / f"{name}.png"
        for file in (photograph, mask):
            if not file.is_file():
                raise _wrong(f"the files of {name}, which {split}.txt names", "nothing", file)
        with open_image(mask) as drawn, open_image(photograph) as image:
            if drawn.mode not in ("P", "L") or drawn.size != image.size:
                raise _wrong(f"a palette image of {image.size} pixels", f"{drawn.mode} of {drawn.size} pixels", mask)
            found.append(Annotated(name, photograph, (np.asarray(drawn).astype(np.uint16),)))
    return found


def _wrong(expected: str, found: str, where: Path) -> InputError:
    return InputError(
        "this folder isn't in VOC's layout", expected=expected, found=found, where=str(where), fix="give another folder"
    )


def features_of(photographs: Sequence[Annotated], backbone: Backbone) -> Features:
    """Compute the patch features of photographs, and the attention that patches get."""
    images = np.stack([photograph.square(backbone.image_size) for photograph in photographs])
    found = backbone.features(_input(images, backbone))
    return Features(found.patches.clone(), found.attention.clone())  # DCN trains on them


def _input(images: npt.NDArray[np.uint8], backbone: Backbone) -> Tensor:
    """Normalise images [images, height, width, 3] as the backbone's training did."""
    dataset = None if backbone.dataset is None else DATASETS[backbone.dataset]
    mean, std = (backbone.mean, backbone.std) if dataset is None else (dataset.mean, dataset.std)
    assert mean is not None  # of timm's models
    assert std is not None
    return normalised(images, mean, std)


def region_numbers(regions: Partition) -> Tensor:
    """Number the regions of all photographs one after another: the number of each patch's region, of labels' shape."""
    return regions.labels + (regions.counts.cumsum(0) - regions.counts)[:, None]


def mean_features(features: Tensor, regions: Partition) -> Tensor:
    """Average the features over each region of each photograph, [regions, width].

    Args:
        features: of the patches, [photographs, patches, width]; they are scaled to length 1 first.
        regions: of the patches.
    """
    members = one_hot(regions.labels).to(features.dtype)  # [photographs, patches, most regions]
    sizes = members.sum(dim=1)
    means = (members.mT @ normalize(features, dim=2)) / sizes.clamp(min=1)[:, :, None]
    return means[sizes > 0]


def crop_features(photographs: Sequence[Annotated], regions: Partition, backbone: Backbone) -> Tensor:
    """Compute the backbone's feature of each region's crop, scaled to length 1, [regions, width].

    The box around a region is cut out of the photograph at the photograph's own size, with all that is in it, and
    resized to the backbone's input.
    """
    found = []
    for photograph, labels, count in zip(photographs, regions.labels, regions.counts, strict=True):
        with open_image(photograph.image) as image:
            pixels = _input(np.array(image.convert("RGB"))[None], backbone)
        boxes = region_boxes(Partition(labels[None], count[None]))
        found.append(backbone.image_features(crop_and_resize(pixels, boxes, backbone.image_size)))
    return normalize(torch.cat(found), dim=1)
