"""Corrupted copies of test images on disk: made once, checked whenever a process first opens them.

<root>/corruptions/<data set>-<key>/meta.json                  the settings; each file's checksum and package versions
                                    <kind>-<severity>.npy      uint8 [N, H, W, C], in the order of the test split
                                    lock                       held by the process that makes copies

The key is a hash of the settings that all copies share: the data set's checksum, the resize before the crop, the
images and the seed. Kinds and severities are added when they are first needed.
"""

from __future__ import annotations

import fcntl
import hashlib
import math
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from suite.data.arrays import Pixels
from suite.data.cache import CORRUPTIONS
from suite.data.corruptions.making import corrupted, corruptor, versions
from suite.data.corruptions.settings import Corruptions
from suite.data.datasets import Dataset
from suite.errors import InputError, first_line
from suite.store.canonical import fingerprint
from suite.store.files import cannot_write, make_folder, write_atomic
from suite.text import note

Images = Callable[[Sequence[int]], Pixels]  # reads test images by their places: uint8 [N, H, W, C]
# Kind, severity, seed, images and their places → copies of the images: uint8 [N, H, W, C].
Corrupt = Callable[[str, int, int, Pixels, Sequence[int]], Pixels]

META, LOCK = "meta.json", "lock"
_CHUNK = 256  # images in memory at a time


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    made_with: dict[str, str]


class _Meta(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    format: Literal[1] = 1
    dataset: str
    checksum: str
    crop_ratio: float
    images: int
    seed: int
    files: dict[str, _File] = {}


@dataclass(frozen=True)
class CopiesOf:
    """The test images of which copies are stored, and the settings that all copies share.

    Args:
        dataset: the data set.
        settings: the corruptions.
        crop_ratio: as `recipe.test_crop_ratio` has it: the images are resized and cropped before they are corrupted.
        root: the folder of the prepared data sets.
    """

    dataset: Dataset
    settings: Corruptions
    crop_ratio: float
    root: Path

    @property
    def images(self) -> int:
        """How many test images have copies."""
        return self.dataset.test_images if self.settings.images is None else self.settings.images

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """The shape of the copies of one kind and severity, [N, H, W, C]."""
        side = self.dataset.image_size
        return self.images, side, side, self.dataset.channels

    @property
    def folder(self) -> Path:
        """Where the copies are."""
        meta = self._meta({})
        key = fingerprint({key: value for key, value in meta.model_dump().items() if key not in ("files", "format")})
        return self.root / CORRUPTIONS / f"{self.dataset.name}-{key}"

    def file(self, kind: str, severity: int) -> Path:
        """The file of one kind and severity."""
        return self.folder / f"{_name(kind, severity)}.npy"

    @property
    def bytes_of_all(self) -> int:
        """Bytes on disk once all kinds and severities are there."""
        return self.settings.copies * math.prod(self.shape)

    def missing(self) -> list[tuple[str, int]]:
        """The kinds and severities that have no copies yet.

        Raises:
            InputError: `meta.json` is damaged.
        """
        there = self._read().files
        return [one for one in self.settings.sets if _name(*one) not in there or not self.file(*one).is_file()]

    def make(self, images: Images, indices: Sequence[int], corrupt: Corrupt | None = None) -> None:
        """Make the copies that are missing. Another process that makes them meanwhile is waited for.

        Args:
            images: reads test images: given their places in the test split, uint8 [N, H, W, C].
            indices: the places of the images that get copies.
            corrupt: makes copies, see `suite.data.corruptions.making.corrupted`, which is the default.

        Raises:
            InputError: the package is missing, or the disk is full or not writable. Existing copies are unchanged.
        """
        if not self.missing():
            return
        if corrupt is None:
            corruptor()  # refuses a missing package before anything is written
            corrupt = corrupted
        folder = self.folder
        make_folder(folder)
        with _locked(folder / LOCK):
            todo = self.missing()
            if todo:
                megabytes = self.bytes_of_all / self.settings.copies * len(todo) / 1e6
                note(
                    f"making {len(todo)} corrupted copies of {len(indices)} test images of {self.dataset.name}, "
                    f"{megabytes:,.0f} MB, in {folder}"
                )
            for kind, severity in todo:
                digest = self._write(self.file(kind, severity), images, indices, partial(corrupt, kind, severity))
                files = {**self._read().files, _name(kind, severity): _File(sha256=digest, made_with=versions())}
                write_atomic(folder / META, (self._meta(files).model_dump_json(indent=1) + "\n").encode())

    def _write(self, path: Path, images: Images, indices: Sequence[int], corrupt: Callable[..., Pixels]) -> str:
        """Write one file atomically, and return its SHA-256."""
        temporary, shape = path.with_suffix(".part"), (len(indices), *self.shape[1:])
        try:
            with temporary.open("wb") as file:
                header = {"descr": "|u1", "fortran_order": False, "shape": shape}
                np.lib.format.write_array_header_1_0(file, header)
                for start in range(0, len(indices), _CHUNK):
                    part = indices[start : start + _CHUNK]
                    file.write(corrupt(self.settings.seed, images(part), part).tobytes())
                file.flush()
                os.fsync(file.fileno())
            digest = _sha256(temporary)
            os.replace(temporary, path)
        except OSError as error:
            temporary.unlink(missing_ok=True)
            raise cannot_write(path, error) from None
        return digest

    def open(self, kind: str, severity: int) -> Pixels:
        """The copies of one kind and severity, memory-mapped: uint8 [N, H, W, C].

        Raises:
            InputError: the file is missing, damaged or not the one that was made.
        """
        path, known = self.file(kind, severity), self._read().files.get(_name(kind, severity))
        if known is None:
            raise self._damaged(path, "corrupted copies that were made", "none")
        try:
            _verify(path, known.sha256)
            pixels: Pixels = np.lib.format.open_memmap(path, mode="c")
        except (OSError, ValueError, EOFError) as error:
            raise self._damaged(path, f"an array of SHA-256 {known.sha256}", first_line(error)) from None
        if pixels.shape != self.shape or pixels.dtype != np.uint8:
            raise self._damaged(path, f"uint8 of shape {self.shape}", f"{pixels.dtype} of shape {pixels.shape}")
        return pixels

    def checksum(self) -> str:
        """A checksum of all copies: equal if, and only if, the corrupted images are."""
        files = self._read().files
        return fingerprint({name: files[name].sha256 for name in (_name(*one) for one in self.settings.sets)})

    def _meta(self, files: dict[str, _File]) -> _Meta:
        own = self.dataset
        return _Meta(
            dataset=own.name,
            checksum=own.checksum,
            crop_ratio=self.crop_ratio,
            images=self.images,
            seed=self.settings.seed,
            files=files,
        )

    def _read(self) -> _Meta:
        path = self.folder / META
        try:
            return _Meta.model_validate_json(path.read_bytes())
        except FileNotFoundError:
            return self._meta({})
        except (OSError, ValidationError) as error:
            raise self._damaged(path, "what was written when the copies were made", first_line(error)) from None

    def _damaged(self, path: Path, expected: str, found: str) -> InputError:
        return InputError(
            "corrupted copies of test images are damaged on disk",
            expected=expected,
            found=found,
            where=str(path),
            fix=f"remove the folder {self.folder}: the copies are then made again",
        )


# The files that this process has checked, with their size and time at that moment.
_verified: set[tuple[Path, str, int, int]] = set()


def _verify(path: Path, sha256: str) -> None:
    """Raise `ValueError` unless the file has this checksum."""
    stat = path.stat()
    key = (path, sha256, stat.st_size, stat.st_mtime_ns)
    if key in _verified:
        return
    if (found := _sha256(path)) != sha256:
        raise ValueError(f"SHA-256 {found}")
    _verified.add(key)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _name(kind: str, severity: int) -> str:
    return f"{kind}-{severity}"


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Wait until no other process holds the lock, and hold it. The system releases it if the process dies."""
    try:
        file = path.open("a")
    except OSError as error:
        raise cannot_write(path, error) from None
    with file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
