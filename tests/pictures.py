"""Photographs as batches, and how far two batches are apart."""

from __future__ import annotations

import io
from collections.abc import Iterator
from functools import cache
from typing import Any

import numpy as np
import PIL
import torch
from PIL import Image


@cache
def photographs(count: int = 80, height: int = 32, width: int = 32) -> torch.Tensor:
    """Windows of scikit-learn's two photographs, of many sizes, shrunk: uint8 [count, 3, height, width].

    The last ones are hard cases: black, white, one level, two levels, a step.
    """
    from sklearn.datasets import load_sample_images  # half a second, for every process that collects tests

    random = np.random.default_rng(0)
    sources = [Image.fromarray(image) for image in load_sample_images().images]
    batch = []
    for number in range(count - 5):
        source = sources[number % 2]
        side = int(random.integers(height, 400))
        left, top = (int(random.integers(0, length - side + 1)) for length in source.size)
        window = source.crop((left, top, left + side, top + side)).resize((width, height), Image.Resampling.BICUBIC)
        batch.append(torch.from_numpy(np.array(window)).permute(2, 0, 1))
    hard = torch.zeros(5, 3, height, width, dtype=torch.uint8)
    hard[1], hard[2] = 255, 77
    hard[3, :, ::2], hard[3, :, 1::2] = 100, 101
    hard[4, :, :, width // 2 :] = 200
    return torch.cat([torch.stack(batch), hard])


def encoded(image: Image.Image, kind: str = "JPEG", **options: Any) -> bytes:
    """The bytes of an image file of this kind, a name of Pillow's."""
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def grey_photographs() -> torch.Tensor:
    """The first channel of the same."""
    return photographs()[:, :1].contiguous()


BATCHES = {"colour": photographs, "grey": grey_photographs}
FACTORS = [0.1, 0.37, 0.5, 0.999, 1.0, 1.19, 1.81, 1.9]  # of enhancement


def turns(arguments: list[float], count: int) -> Iterator[list[float]]:
    """An argument for each of `count` images, so often that each image meets each, beside images with others."""
    for shift in range(len(arguments)):
        yield [arguments[(index + shift) % len(arguments)] for index in range(count)]


def to_pillow(images: torch.Tensor) -> list[Image.Image]:
    """uint8 [B, 1 or 3, H, W] as Pillow's images."""
    return [Image.fromarray(image.permute(1, 2, 0).squeeze(2).numpy()) for image in images]


def from_pillow(images: list[Image.Image]) -> torch.Tensor:
    """The inverse of `to_pillow`."""
    arrays = [torch.from_numpy(np.array(image)) for image in images]
    return torch.stack([array[None] if array.ndim == 2 else array.permute(2, 0, 1) for array in arrays])


def assert_alike(found: torch.Tensor, expected: list[Image.Image], mean: float, far: float = 1.0) -> None:
    """Check the mean difference in grey levels, and the share of pixels that are more than 3 levels off."""
    difference = (found.int() - from_pillow(expected).int()).abs().float()
    told = f"against Pillow {PIL.__version__}: mean difference {difference.mean():.4f}, most {difference.max():.0f}"
    assert found.dtype == torch.uint8
    assert difference.mean() <= mean, told
    assert (difference > 3).float().mean() <= far, told
