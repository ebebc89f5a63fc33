"""Images and labels as arrays: their canonical order, and the checksum that identifies a data set."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from suite.store.canonical import canonical_json

SPLITS = ("train", "test")

Pixels = npt.NDArray[np.uint8]
Labels = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Split:
    """One split: images uint8 [N, H, W, C] and labels int64 [N]."""

    images: Pixels
    labels: Labels

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, indices: npt.NDArray[np.int64]) -> Split:
        """The images at `indices`, in that order."""
        return Split(self.images[indices], self.labels[indices])

    @property
    def shape(self) -> str:
        """A text for messages, such as '50000 images of 32x32x3'."""
        return f"{len(self)} images of {'x'.join(map(str, self.images.shape[1:]))}"


def canonical_order(split: Split) -> npt.NDArray[np.int64]:
    """Indices that sort a split by the SHA-256 of each image's pixel bytes, then by label.

    Tied images have equal pixels and labels, so the sorted arrays don't depend on the input order.
    """
    digests = [hashlib.sha256(np.ascontiguousarray(image).data).digest() for image in split.images]
    order = sorted(range(len(split)), key=lambda i: (digests[i], int(split.labels[i])))
    return np.array(order, dtype=np.int64)


def arrays_checksum(splits: Mapping[str, Split]) -> str:
    """SHA-256 over the shapes, pixels and labels (little-endian int64) of both splits, in their present order."""
    digest = hashlib.sha256()
    for name in SPLITS:
        split = splits[name]
        digest.update(canonical_json({"split": name, "shape": list(split.images.shape)}).encode() + b"\n")
        digest.update(np.ascontiguousarray(split.images).data)
        digest.update(np.ascontiguousarray(split.labels, dtype="<i8").data)
    return digest.hexdigest()


def measure(images: Iterable[Pixels]) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and standard deviation per channel, of pixels scaled to [0, 1], rounded to 4 digits.

    Both are computed from histograms, so they don't depend on the images' order. A constant channel gets a standard
    deviation of 1, because images are divided by it.

    Args:
        images: uint8 [N, H, W, C], or an iterable of images [H, W, C].

    Raises:
        ValueError: there are no images.
    """
    counts: npt.NDArray[np.int64] | None = None
    for image in images:
        pixels = image.reshape(-1, image.shape[-1])
        found = np.stack([np.bincount(channel, minlength=256) for channel in pixels.T])
        counts = found if counts is None else counts + found
    if counts is None:
        raise ValueError("no images to measure")
    values = np.arange(256) / 255
    total = counts.sum(axis=1)
    mean = counts @ values / total
    variance = (counts * (values - mean[:, None]) ** 2).sum(axis=1) / total
    return (
        tuple(round(float(value), 4) for value in mean),
        tuple(round(float(value) ** 0.5, 4) or 1.0 for value in variance),
    )
