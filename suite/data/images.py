"""Reading prepared images, and masks, for training, as batches of uint8 tensors."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Literal, Protocol, Self

import torch
from torch import Tensor

from suite.data.buffers import Buffers, keep_freed_memory
from suite.data.cache import load_index, load_meta, load_split, prepared_files, verify
from suite.data.crops import Crops, crop_and_resize, crop_to_nearest, resize_and_crop_centre
from suite.data.datasets import Dataset
from suite.data.decode import decode
from suite.data.index import Row
from suite.data.indexed import read_indexed
from suite.data.parallel import Background
from suite.data.transfer import to_device
from suite.data.windows import Pixels, Window, decode_windows
from suite.registry import resolve

Name = tuple[str, str]  # a data set's checksum, and the split


class Pending(Protocol):
    """A batch of images that is being read in the background."""

    def result(self) -> Tensor:
        """Wait for the images and return them: uint8 [B, C, H, W]."""

    def cancel(self) -> None:
        """Discard the batch and wait until no background work remains."""


class Evaluated(Protocol):
    """Images on which a model is evaluated: the test set, or a part of a split."""

    labels: Tensor  # int64 [N]

    def __len__(self) -> int: ...

    @property
    def shape(self) -> tuple[int, int, int]:
        """Channels, height and width of each image."""

    def batch(self, indices: Tensor, crop_ratio: float = 1.0) -> Tensor:
        """The images at `indices` [B], in that order: uint8 [B, C, H, W].

        With `crop_ratio` below 1, the shorter side is resized to image size / crop_ratio. Then the centre is cropped.
        """


class Images(Evaluated, Protocol):
    """One split of a data set, in canonical order."""

    def cropped(self, indices: Tensor, crops: Crops) -> Tensor:
        """Random crops of the images at `indices` [B], resized to the image size: uint8 [B, C, H, W]."""

    def start(self, indices: Tensor, crops: Any) -> Pending:
        """Start `cropped`, or `batch` if `crops` is None. Image files are read in the background."""

    def to(self, device: torch.device | str) -> Self:
        """The same images, with batches and labels on another device."""


class ArrayImages:
    """Images in memory. On a CPU, they are memory-mapped from the cache and shared by processes; a GPU gets a copy."""

    def __init__(self, pixels: Tensor, labels: Tensor, name: Name | None = None) -> None:
        """Wrap arrays.

        Args:
            pixels: uint8 [N, H, W, C].
            labels: int64 [N].
            name: identifies the images, so that they are copied to a device only once.
        """
        self.pixels, self.labels, self.name = pixels, labels, name

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def shape(self) -> tuple[int, int, int]:
        """Channels, height and width of each image."""
        _, height, width, channels = self.pixels.shape
        return channels, height, width

    def batch(self, indices: Tensor, crop_ratio: float = 1.0) -> Tensor:
        """The images at `indices` [B], in that order: uint8 [B, C, H, W]."""
        images = self._chosen(indices).contiguous()
        return resize_and_crop_centre(images, _resized(images.shape[3], crop_ratio))

    def cropped(self, indices: Tensor, crops: Crops) -> Tensor:
        """Random crops of the images at `indices` [B], resized: uint8 [B, C, H, W]."""
        _, height, width = self.shape
        windows = crops.windows(torch.full_like(indices, height), torch.full_like(indices, width))
        return crop_and_resize(self._chosen(indices), windows, crops.bicubic, height, width)

    def start(self, indices: Tensor, crops: Crops | None) -> Pending:
        """The images are in memory, so they are only computed when `result` is called."""
        return Later(partial(self.batch, indices) if crops is None else partial(self.cropped, indices, crops))

    def _chosen(self, indices: Tensor) -> Tensor:
        """The images at `indices` [B]: uint8 [B, C, H, W], in channels-last memory format."""
        rows = self.pixels.flatten(1).index_select(0, to_device(indices, self.pixels.device))
        return rows.view(-1, *self.pixels.shape[1:]).permute(0, 3, 1, 2)

    def to(self, device: torch.device | str) -> ArrayImages:
        """The same images on another device. Named images are copied there once, for all trials of this process."""
        there = torch.empty(0, device=device).device  # resolves "cuda" to "cuda:0"
        if there == self.pixels.device:
            return self
        if self.name is None:
            return self._copied(there)
        # Only one data set's copies are kept. Otherwise, a trial's memory would depend on the trials before it.
        for name, other in list(_copies):
            if name[0] != self.name[0]:
                del _copies[name, other]
        key = (self.name, there)
        if key not in _copies:
            _copies[key] = self._copied(there)
        return _copies[key]

    def _copied(self, device: torch.device) -> ArrayImages:
        return type(self)(self.pixels.to(device), self.labels.to(device), self.name)


class MaskedImages(ArrayImages):
    """Images in memory whose last channel is a mask: 0 where a pixel is ignored, otherwise the class plus 1."""

    def cropped(self, indices: Tensor, crops: Crops) -> Tensor:
        """Random crops of the images at `indices` [B], resized, and the same of their masks: uint8 [B, C + 1, H, W]."""
        _, height, width = self.shape
        windows = crops.windows(torch.full_like(indices, height), torch.full_like(indices, width))
        chosen = self._chosen(indices)
        images = crop_and_resize(chosen[:, :-1], windows, crops.bicubic, height, width)
        return torch.cat([images, crop_to_nearest(chosen[:, -1:], windows)], dim=1)


# The images that this process has copied to devices.
_copies: dict[tuple[Name, torch.device], ArrayImages] = {}


class Later:
    """A batch that is computed when `result` is called."""

    def __init__(self, make: Callable[[], Tensor]) -> None:
        self.result = make

    def cancel(self) -> None:
        """Do nothing: no work was started."""


class FolderImages:
    """Images decoded from files by a thread pool. Each file is checked against its digest in the index."""

    def __init__(self, dataset: Dataset, folder: Path, rows: list[Row], labels: Tensor) -> None:
        self.dataset, self.folder, self.rows, self.labels = dataset, folder, rows, labels
        self._buffers = Buffers()
        keep_freed_memory()  # each decoded image takes some

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def shape(self) -> tuple[int, int, int]:
        """Channels, height and width of each image."""
        return self.dataset.channels, self.dataset.image_size, self.dataset.image_size

    def batch(self, indices: Tensor, crop_ratio: float = 1.0) -> Tensor:
        """The images at `indices` [B], in that order: uint8 [B, C, H, W].

        Raises:
            InputError: a file is missing, or changed after it was indexed.
        """
        return self._start_batch(indices, crop_ratio).result()

    def cropped(self, indices: Tensor, crops: Crops) -> Tensor:
        """Random crops of the images at `indices` [B], taken from the images as stored: uint8 [B, C, H, W].

        Raises:
            InputError: a file is missing, or changed after it was indexed.
        """
        return self._start_cropped(indices, crops).result()

    def start(self, indices: Tensor, crops: Crops | None) -> Pending:
        """Start decoding on the pool's threads. `result` raises the errors of `batch` and `cropped`."""
        return self._start_batch(indices, 1.0) if crops is None else self._start_cropped(indices, crops)

    def _start_batch(self, indices: Tensor, crop_ratio: float) -> Pending:
        channels, size, _ = self.shape
        resized = _resized(size, crop_ratio)

        def repeated(places: Sequence[int], data: bytes, path: Path) -> list[Pixels]:
            return [decode(data, path, channels, size, resized)] * len(places)

        return self._start(indices, repeated)

    def _start_cropped(self, indices: Tensor, crops: Crops) -> Pending:
        channels, size, _ = self.shape
        bicubic, by_torch = crops.bicubic.tolist(), crops.resizer == "torch"

        def cut(places: Sequence[int], data: bytes, path: Path) -> list[Pixels]:
            windows = [Window(partial(crops.window, place), bicubic[place]) for place in places]
            return decode_windows(data, path, channels, size, windows, by_torch=by_torch)

        return self._start(indices, cut)

    def _start(self, indices: Tensor, decode_: Callable[[Sequence[int], bytes, Path], list[Pixels]]) -> Pending:
        """Start decoding. Each file is read once, even if the batch has its image several times.

        Args:
            indices: the images of the batch, int64 [B].
            decode_: a function from an image's places in the batch, its file's bytes and path to an image per place.
        """
        shape = (len(indices), *self.shape)
        if self.labels.device.type == "cuda":
            pixels = torch.empty(shape, dtype=torch.uint8, pin_memory=True)
        else:
            pixels = self._buffers.empty(shape, torch.uint8)
        batch = pixels.permute(0, 2, 3, 1).numpy()
        places: dict[int, list[int]] = {}
        for place, index in enumerate(indices.tolist()):
            places.setdefault(index, []).append(place)

        def read(item: tuple[int, list[int]]) -> None:
            index, its_places = item
            images = decode_(its_places, *self._verified(self.rows[index]))
            for place, image in zip(its_places, images, strict=True):
                batch[place] = image

        return _Decoding(pixels, Background(read, places.items()), self.labels.device)

    def to(self, device: torch.device | str) -> FolderImages:
        """The same images, with batches and labels on another device."""
        return FolderImages(self.dataset, self.folder, self.rows, self.labels.to(device))

    def _verified(self, row: Row) -> tuple[bytes, Path]:
        return read_indexed(self.folder, row, self.dataset)


class _Decoding:
    """A batch that threads are writing to one tensor."""

    def __init__(self, pixels: Tensor, background: Background, device: torch.device) -> None:
        self._pixels, self._background, self._device = pixels, background, device

    def result(self) -> Tensor:
        """Wait for the threads and return the images on the target device."""
        self._background.wait()
        return to_device(self._pixels, self._device)

    def cancel(self) -> None:
        """Cancel the remaining work and wait for the running threads."""
        self._background.cancel()


def _resized(image_size: int, crop_ratio: float) -> int:
    return math.floor(image_size / crop_ratio)


# The data sets that this process has verified, with the sizes and times of their files at that moment.
_verified: set[tuple[Dataset, Path, tuple[tuple[str, int, int], ...]]] = set()


def load_images(dataset: Dataset, split: Literal["train", "test"], root: Path) -> Images:
    """Open one split of a prepared data set.

    The data set is verified once per process, and again if its files have changed.

    Args:
        dataset: the declared data set.
        split: "train" or "test".
        root: the cache of prepared data sets.

    Raises:
        InputError: the data set is not prepared, is damaged, or differs from the declared one.
    """
    key = (dataset, root, prepared_files(dataset.name, root))
    if key not in _verified:
        verify(dataset, root)
        _verified.add(key)
    if dataset.storage == "arrays":
        arrays = load_split(dataset, split, root)
        pixels, labels, name = *map(torch.from_numpy, (arrays.images, arrays.labels)), (dataset.checksum, split)
        if dataset.windowed:
            scenes: Images = resolve("suite.data.scene_images:SceneImages")(pixels, labels, name, dataset.image_size)
            return scenes
        return (ArrayImages if dataset.segmentation is None else MaskedImages)(pixels, labels, name)
    index, meta = load_index(dataset, split, root), load_meta(dataset.name, root)
    folder = meta and meta.folder
    return FolderImages(dataset, folder or Path(), index.rows, torch.from_numpy(index.labels))
