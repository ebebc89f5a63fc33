"""Made-up scenes with masks, for tests of segmentation: sky, ground and a box, in two layouts."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

CLASSES = 3  # sky, ground, box
COLOURS = np.array([[90, 140, 220], [60, 110, 50], [200, 60, 40]])
PALETTE = [value for index in range(256) for value in (index, 255 - index, 7 * index % 256)]


def scene(index: int, width: int = 24, height: int = 16) -> tuple[np.ndarray, np.ndarray]:
    """The index-th scene: its image, uint8 [height, width, 3], and its mask, uint8 [height, width], with 255 in it."""
    random = np.random.default_rng(index)
    mask = np.zeros((height, width), dtype=np.uint8)
    mask[int(random.integers(height // 3, 2 * height // 3)) :] = 1
    side = int(random.integers(height // 4, height // 2))
    top, left = (int(random.integers(0, most - side)) for most in (height, width))
    mask[top : top + side, left : left + side] = 2
    image = COLOURS[mask] + random.integers(-30, 31, (height, width, 1))
    mask[0, 0] = 255
    return image.clip(0, 255).astype(np.uint8), mask


def save_mask(mask: np.ndarray, path: Path, mode: str = "P") -> None:
    """Write a mask as grey ("L") or with a palette ("P")."""
    picture = Image.fromarray(mask, "L")
    if mode == "P":
        picture = Image.frombytes("P", picture.size, mask.tobytes())
        picture.putpalette(PALETTE)
    picture.save(path)


def write_voc(folder: Path, train: int = 6, test: int = 4, **size: int) -> Path:
    """A folder in VOC's layout, with the lists train and val."""
    for name in ("JPEGImages", "SegmentationClass", "ImageSets/Segmentation"):
        (folder / name).mkdir(parents=True)
    for split, numbers in (("train", range(train)), ("val", range(train, train + test))):
        for number in numbers:
            image, mask = scene(number, **size)
            Image.fromarray(image).save(folder / f"JPEGImages/scene{number}.png")
            save_mask(mask, folder / f"SegmentationClass/scene{number}.png")
        names = "".join(f"scene{number}\n" for number in numbers)
        (folder / f"ImageSets/Segmentation/{split}.txt").write_text(names)
    return folder


def write_folders(folder: Path, train: int = 6, test: int = 4, first_value: int = 1) -> Path:
    """images/ and masks/ with the folders train and val; the first class has the value `first_value`."""
    for split, numbers in (("train", range(train)), ("val", range(train, train + test))):
        for name in ("images", "masks"):
            (folder / name / split).mkdir(parents=True)
        for number in numbers:
            image, mask = scene(number)
            Image.fromarray(image).save(folder / f"images/{split}/scene{number}.png")
            values = np.where(mask == 255, 255, mask + first_value).astype(np.uint8)
            save_mask(values, folder / f"masks/{split}/scene{number}.png", "L")
    return folder
