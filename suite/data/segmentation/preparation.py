"""`lape data prepare NAME --segmentation SETTINGS`: read images with masks, and keep them as a data set."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

from suite.data.again import is_whole
from suite.data.arrays import SPLITS, Pixels, Split, arrays_checksum, measure
from suite.data.cache import Meta, load_meta, publish, scratch, verify
from suite.data.copies import Named, note_copies
from suite.data.datasets import Dataset
from suite.data.names import name_text, shown
from suite.data.preparation import sort_splits
from suite.data.reading import listing, read_form, unpacked
from suite.data.segmentation.listing import Pair, Pairs, list_pairs
from suite.data.segmentation.reading import read_pairs
from suite.data.segmentation.settings import PADDING, Segmentation
from suite.data.squares import check_fits, check_squares
from suite.errors import InputError
from suite.text import Progress


def prepare_masks(
    name: str, rule: Segmentation, *, root: Path, source: Path | None, image_size: int | None, storage: str = "auto"
) -> Dataset:
    """Prepare a data set of images with masks in the cache and verify it. Unchanged files are not read again.

    Args:
        name: a new name.
        rule: the classes, and the rule that makes the splits.
        root: the cache.
        source: a folder or an archive; see `list_pairs`.
        image_size: pixels per side. The shorter side is resized to it (images bicubically, masks to the nearest
            pixel), then the centre is cropped. If the rule has a height and a width, images are resized to the largest
            size within these instead, and `image_size` is that of crops in training and of windows in tests.
        storage: "auto" for arrays of at most 2 GiB; "arrays" for larger ones too.

    Raises:
        InputError: the options don't go together, a file can't be used, or the cache isn't writable.
    """
    source, size = check_squares(
        name, source, image_size, storage,
        option="--segmentation SETTINGS", read="images and masks", squares="images and masks",
        what="images and masks", example="FOLDER",
    )  # fmt: skip
    if rule.height is not None and rule.width is not None and size > min(rule.height, rule.width):
        raise InputError(
            "crops and windows would be larger than the images",
            expected=f"an --image-size of at most {min(rule.height, rule.width)}, as height and width have it",
            found=str(size),
            where=f"lape data prepare {name}",
            fix="give a smaller --image-size, or larger height and width",
        )
    with Progress(f"preparing {name}") as progress, scratch(root) as temporary:
        with unpacked(source, temporary, progress) as folder:
            progress.phase("listing the images")
            with listing(folder):
                pairs = list_pairs(folder, rule)
                stamp = pairs.stamp(size, rule.model_dump(mode="json"), "" if source.is_dir() else shown(source))
            known = _unchanged(name, root, stamp, progress)
            if known is not None:
                return known
            meta, splits = _read(name, pairs, rule, source, size, storage, progress)
        progress.phase("writing and verifying")
        publish(meta.model_copy(update={"stamp": stamp}), splits, root)
        verify(meta.dataset, root)
    return meta.dataset


def _unchanged(name: str, root: Path, stamp: str, progress: Progress) -> Dataset | None:
    """The prepared data set, if it is undamaged and its files haven't changed."""
    try:
        known = load_meta(name, root)
    except InputError:
        return None  # damaged: prepare it again
    if known is None or known.stamp != stamp or not is_whole(known.dataset, root, progress):
        return None
    return known.dataset


def _read(
    name: str, pairs: Pairs, rule: Segmentation, source: Path, size: int, storage: str, progress: Progress
) -> tuple[Meta, dict[str, Split]]:
    _, channels = read_form(pairs.images, size, progress)
    if storage == "auto":
        check_fits(
            sum(map(len, pairs.splits.values())), size, channels + 1, what="images and masks", where=source,
            fix="choose a smaller --image-size (or height and width), or fewer images; or give --storage arrays, which "
            "needs twice as much memory once",
            sides=(rule.height, rule.width),
        )  # fmt: skip
    splits = read_pairs(pairs, rule, size, channels, progress)
    progress.phase("sorting and measuring")
    note_copies({split: _named(pairs, pairs.splits[split], splits[split]) for split in SPLITS})
    splits = sort_splits(splits)
    arrays = arrays_checksum(splits)
    mean, std = measure(_own_pixels(splits["train"].images))
    dataset = Dataset(
        name=name,
        num_classes=rule.classes,
        image_size=size,
        channels=channels,
        train_images=len(splits["train"]),
        test_images=len(splits["test"]),
        mean=mean,
        std=std,
        checksum=rule.checksum(arrays),
        source=f"images and masks of {shown(source.name)}",
        segmentation=rule,
    )
    if rule.covers is None:
        return Meta(dataset=dataset), splits
    return Meta(dataset=dataset.model_copy(update={"checksum": dataset.whole_checksum(arrays)}), index=arrays), splits


def _own_pixels(images: Pixels) -> Iterator[Pixels]:
    """The pixels of each image, without its mask and what isn't the image's."""
    for image in images:
        rows, columns = (int((edge != PADDING).sum()) for edge in (image[:, 0, -1], image[0, :, -1]))
        yield image[:rows, :columns, :-1]


def _named(pairs: Pairs, files: list[Pair], split: Split) -> Iterator[Named]:
    for (image, _), pixels in zip(files, split.images, strict=True):
        digest = hashlib.sha256(pixels[..., :-1].tobytes()).digest()
        yield digest, 0, name_text(image.relative_to(pairs.folder))
