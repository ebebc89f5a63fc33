"""`lape data prepare NAME --regions SPLITS`: read BSDS500, and keep it as a data set."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from suite.data.arrays import SPLITS, Split, arrays_checksum, measure
from suite.data.bsds500 import IMAGES, Annotated, read_bsds500
from suite.data.cache import Meta, publish, scratch, verify
from suite.data.copies import Named, note_copies
from suite.data.datasets import Dataset
from suite.data.names import shown
from suite.data.preparation import sort_splits
from suite.data.reading import unpacked
from suite.data.regions.settings import MOST_ANNOTATORS, MOST_REGIONS, Regions, Splits
from suite.data.squares import check_fits, check_squares
from suite.errors import InputError
from suite.text import Progress

CHANNELS: Final = 3  # photographs are stored as RGB


def prepare_regions(
    name: str, rule: Splits, *, root: Path, source: Path | None, image_size: int | None, storage: str = "auto"
) -> Dataset:
    """Prepare a data set of photographs with regions in the cache and verify it.

    Args:
        name: a new name.
        rule: the splits.
        root: the cache.
        source: a folder or an archive of BSDS500; see `read_bsds500`.
        image_size: pixels per side. Whole photographs are resized to squares, bicubically; annotations likewise, each
            pixel to the nearest one.
        storage: "auto" or "arrays".

    Raises:
        InputError: the options don't go together, a file can't be used, or the cache isn't writable.
    """
    source, size = check_squares(
        name, source, image_size, storage,
        option="--regions SPLITS", read="BSDS500", squares="photographs and annotations",
        what="photographs with regions", example="BSDS500/data",
    )  # fmt: skip
    with Progress(f"preparing {name}") as progress, scratch(root) as temporary:
        with unpacked(source, temporary, progress) as folder:
            splits, annotators = _read(_find_top(folder), rule, size, progress)
        progress.phase("sorting and measuring")
        splits = sort_splits(splits)
        mean, std = measure(splits["train"].images[..., :CHANNELS])
        regions = Regions(**rule.model_dump(), annotators=annotators)
        dataset = Dataset(
            name=name,
            num_classes=1,
            image_size=size,
            channels=CHANNELS,
            train_images=len(splits["train"]),
            test_images=len(splits["test"]),
            mean=mean,
            std=std,
            checksum=regions.checksum(arrays_checksum(splits)),
            source=f"photographs and regions of {shown(source.name)}",
            regions=regions,
        )
        progress.phase("writing and verifying")
        publish(Meta(dataset=dataset), splits, root)
        verify(dataset, root)
    return dataset


def _find_top(folder: Path) -> Path:
    """The folder that holds images/: this one, BSDS500/data in it, or the only folder in it, as in archives."""
    inside = sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))
    candidates = [folder, folder / "data", *inside, *(path / "data" for path in inside)]
    return next((path for path in candidates if (path / IMAGES).is_dir()), folder)


def _read(folder: Path, rule: Splits, size: int, progress: Progress) -> tuple[dict[str, Split], int]:
    """The photographs of both splits with their annotations as further channels, and how many of these there are."""
    found: dict[str, list[Annotated]] = {}
    for split, names in rule.split_names.items():
        progress.phase(f"reading the annotations of {split}")
        found[split] = [photograph for name in names for photograph in read_bsds500(folder, name)]
    everything = [photograph for photographs in found.values() for photograph in photographs]
    most = max(everything, key=lambda photograph: len(photograph.annotations))
    annotators = len(most.annotations)
    if annotators > MOST_ANNOTATORS:
        raise InputError(
            "a photograph has too many annotations",
            expected=f"at most {MOST_ANNOTATORS}",
            found=str(annotators),
            where=shown(most.image),
            fix="remove some cells of groundTruth from its file of annotations",
        )
    check_fits(
        len(everything), size, CHANNELS + annotators, what="images and regions", where=folder,
        fix="choose a smaller --image-size",
    )  # fmt: skip
    splits = {}
    progress.phase("decoding", len(everything))
    for split, photographs in found.items():
        images = np.zeros((len(photographs), size, size, CHANNELS + annotators), dtype=np.uint8)
        for image, photograph in zip(images, photographs, strict=True):
            image[..., :CHANNELS] = photograph.square(size)
            for number, annotation in enumerate(photograph.annotations, CHANNELS):
                image[..., number] = _numbered(annotation, size, photograph)
            progress.advance()
        splits[split] = Split(images, np.zeros(len(photographs), dtype=np.int64))
    note_copies({split: _named(found[split], splits[split]) for split in SPLITS})
    return splits, annotators


def _numbered(annotation: npt.NDArray[np.uint16], size: int, photograph: Annotated) -> npt.NDArray[np.uint8]:
    """The regions that are left at this size, numbered from 1: uint8 [size, size]."""
    rows, columns = (((np.arange(size) + 0.5) * length / size).astype(int) for length in annotation.shape)
    left, numbers = np.unique(annotation[np.ix_(rows, columns)], return_inverse=True)
    if len(left) > MOST_REGIONS:
        raise InputError(
            "an annotation has too many regions",
            expected=f"at most {MOST_REGIONS} regions at {size}×{size} pixels",
            found=str(len(left)),
            where=shown(photograph.image),
            fix="choose a smaller --image-size, or remove the photograph",
        )
    return (numbers.reshape(size, size) + 1).astype(np.uint8)


def _named(photographs: Sequence[Annotated], split: Split) -> Iterator[Named]:
    for photograph, pixels in zip(photographs, split.images, strict=True):
        yield hashlib.sha256(pixels[..., :CHANNELS].tobytes()).digest(), 0, photograph.image.name
