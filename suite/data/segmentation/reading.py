"""Reading images with their masks on all cores, to prepare a segmentation data set."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt

from suite.data.arrays import Split
from suite.data.decode import decode_mask, decode_mask_within, decode_oriented, decode_within, header, read_file
from suite.data.names import listed, shown
from suite.data.parallel import Answer, on_all_cores
from suite.data.segmentation.listing import Pairs
from suite.data.segmentation.settings import IGNORED, PADDING, Segmentation
from suite.errors import InputError
from suite.text import Progress, note


def read_pairs(pairs: Pairs, rule: Segmentation, size: int, channels: int, progress: Progress) -> dict[str, Split]:
    """Decode the images and masks of both splits, in the order of the files.

    The last channel of each image is its mask: 0 where a pixel is ignored, otherwise the class plus 1. So whatever
    moves an image moves its mask, and padding with zeros is ignored.

    Args:
        pairs: the files.
        rule: the classes and the values of masks.
        size: pixels on each side of the decoded images.
        channels: 1 for grey, 3 for RGB.
        progress: receives progress updates.

    Returns:
        For each split, uint8 [N, rows, columns, channels + 1]: squares, or rectangles of the rule's size with the image
        in the upper left corner, and `PADDING` in the mask outside of it. All labels are 0.

    Raises:
        InputError: a file can't be read, a mask has another size than its image or an unknown value, or a split has no
            pixel of some class.
    """
    splits, oriented = {}, 0
    progress.phase("decoding", sum(map(len, pairs.splits.values())))
    for split, files in pairs.splits.items():
        images = np.zeros((len(files), rule.height or size, rule.width or size, channels + 1), dtype=np.uint8)
        images[..., -1] = PADDING
        names = [[str(image), str(mask)] for image, mask in files]
        settings = rule.model_dump(mode="json")
        decoded = on_all_cores(f"{__name__}:pair_task", names, settings=settings, channels=channels, size=size)
        for i, ((has_orientation, columns), pixels) in enumerate(decoded):
            fitted = np.frombuffer(pixels, dtype=np.uint8).reshape(-1, columns, channels + 1)
            images[i, : len(fitted), :columns] = fitted
            oriented += has_orientation
            progress.advance()
        _check_classes(split, images[..., -1], rule, pairs)
        splits[split] = Split(images, np.zeros(len(files), dtype=np.int64))
    if oriented:
        note(f"{oriented:,} images have an EXIF orientation other than 1, which is not applied: they stay as stored")
    return splits


def pair_task(files: list[str], settings: dict[str, object], channels: int, size: int) -> Answer:
    """A task for `on_all_cores`: whether an image has an EXIF orientation, its columns, and its pixels and its mask's.

    Args:
        files: the paths of the image and of its mask.
        settings: the values of a `Segmentation`.
        channels: 1 for grey, 3 for RGB.
        size: pixels on each side.
    """
    rule = Segmentation.model_validate(settings)
    image, path = (Path(file) for file in files)
    _, width, height = header(image, size)
    if rule.height is not None and rule.width is not None:
        pixels, has_orientation = decode_within(read_file(image), image, channels, rule.height, rule.width)
        whole, fitted = decode_mask_within(read_file(path), path, rule.height, rule.width)
    else:
        pixels, has_orientation = decode_oriented(read_file(image), image, channels, size)
        whole, fitted = decode_mask(read_file(path), path, size)
    if whole.shape != (height, width):
        raise InputError(
            "a mask has another size than its image",
            expected=f"{width}x{height} pixels, as {shown(image.name)}",
            found=f"{whole.shape[1]}x{whole.shape[0]} pixels",
            where=shown(path),
            fix="make the mask anew at the image's size, without interpolation",
        )
    table = _targets(rule)
    values = np.flatnonzero(np.bincount(whole.ravel(), minlength=256))
    if unknown := [int(value) for value in values if table[value] == IGNORED and not _is_ignored(int(value), rule)]:
        last = rule.first_value + rule.classes - 1
        raise InputError(
            "a mask has values of no class",
            expected=f"{rule.first_value} to {last} for {rule.classes} classes, "
            f"{'0 or ' if rule.first_value else ''}{IGNORED} for ignored pixels",
            found=listed(map(str, unknown)),
            where=shown(path),
            fix="change classes or first_value in --segmentation, or correct the mask",
        )
    mask = (table[fitted] + np.uint8(1)).astype(np.uint8)  # 255 becomes 0
    return (has_orientation, pixels.shape[1]), np.concatenate([pixels, mask[..., None]], axis=2).tobytes()


def _is_ignored(value: int, rule: Segmentation) -> bool:
    return value == IGNORED or value < rule.first_value


def _targets(rule: Segmentation) -> npt.NDArray[np.uint8]:
    """The class of each value of a mask file, or `IGNORED`: uint8 [256]."""
    table = np.full(256, IGNORED, dtype=np.uint8)
    table[rule.first_value : rule.first_value + rule.classes] = np.arange(rule.classes, dtype=np.uint8)
    table[IGNORED] = IGNORED
    return table


def _check_classes(split: str, masks: npt.NDArray[np.uint8], rule: Segmentation, pairs: Pairs) -> None:
    counts = np.bincount(masks.ravel(), minlength=rule.classes + 1)[1 : rule.classes + 1]
    if not counts.all():
        missing = [str(rule.first_value + int(number)) for number in np.flatnonzero(counts == 0)]
        raise InputError(
            f"the {split} split has no pixel of {'a class' if len(missing) == 1 else 'some classes'}",
            expected=f"each of {rule.classes} classes in some mask, after resizing",
            found=f"no pixel of value {listed(missing)}",
            where=shown(pairs.folder),
            fix="change classes or first_value in --segmentation, name other splits, or choose a larger --image-size",
        )
