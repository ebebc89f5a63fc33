"""An image folder of JPEG files of ImageNet's usual size, made from scikit-learn's two sample photographs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image
from sklearn.datasets import load_sample_images

SIZE = (500, 375)  # width and height of most of ImageNet's photographs
QUALITY = 90
CLASSES = 8


def write_photographs(folder: Path, train: int, val: int) -> float:
    """Write the images of both splits: random windows of the photographs, resized. Returns their mean size in bytes."""
    random = np.random.default_rng(0)
    sources = [Image.fromarray(pixels) for pixels in load_sample_images().images]
    sizes = []
    for split, count in (("train", train), ("val", val)):
        for number in range(count):
            source = sources[number % len(sources)]
            width = int(random.integers(SIZE[0] // 2, source.height * SIZE[0] // SIZE[1]))
            height = width * SIZE[1] // SIZE[0]
            left = int(random.integers(source.width - width + 1))
            top = int(random.integers(source.height - height + 1))
            path = folder / split / f"class{number % CLASSES}" / f"{number:05}.jpg"
            path.parent.mkdir(parents=True, exist_ok=True)
            window = source.crop((left, top, left + width, top + height))
            window.resize(SIZE, Image.Resampling.BICUBIC).save(path, quality=QUALITY)
            sizes.append(path.stat().st_size)
    return float(np.mean(sizes))
