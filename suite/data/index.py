"""The index of a data set that is too large for the cache. Its image files stay in their own folder."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from suite.data.arrays import SPLITS, Labels
from suite.data.names import name_path, shown
from suite.data.regular_files import PERMISSIONS
from suite.errors import InputError
from suite.store.canonical import canonical_json


@dataclass(frozen=True, order=True)
class Row:
    """One image file. Rows sort in canonical order: by digest, then label. The path only breaks ties."""

    sha256: str
    label: int
    path: str  # relative to the image folder, with forward slashes
    size: int  # in bytes


@dataclass(frozen=True)
class Index:
    """The rows of one split, in canonical order."""

    rows: list[Row]

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def labels(self) -> Labels:
        """The labels, int64 [N]."""
        return np.array([row.label for row in self.rows], dtype=np.int64)


def index_checksum(splits: Mapping[str, Index], image_size: int, channels: int) -> str:
    """SHA-256 over the files' digests and labels, and the size and channels to which images are decoded.

    Args:
        splits: the index of each split.
        image_size: pixels on each side of the decoded images.
        channels: their channels.
    """
    digest = hashlib.sha256(canonical_json({"image_size": image_size, "channels": channels}).encode() + b"\n")
    for name in SPLITS:
        digest.update(f"{name} {len(splits[name])}\n".encode())
        for row in splits[name].rows:
            digest.update(f"{row.sha256} {row.label}\n".encode())
    return digest.hexdigest()


def classes_checksum(classes: Sequence[str], counts: Mapping[str, int], image_size: int, channels: int) -> str:
    """SHA-256 over the class names, the number of images in each split, and the decoded size and channels.

    Args:
        classes: the names of the class folders, in alphabetical order.
        counts: the number of images of each split.
        image_size: pixels on each side of the decoded images.
        channels: their channels.
    """
    facts = {
        "classes": list(classes),
        "images": [counts[name] for name in SPLITS],
        "image_size": image_size,
        "channels": channels,
    }
    return hashlib.sha256(canonical_json(facts).encode()).hexdigest()


def write_index(path: Path, index: Index) -> None:
    """Write one split's index as a Parquet file."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    columns = {
        "path": pa.array([row.path for row in index.rows], pa.string()),
        "label": pa.array([row.label for row in index.rows], pa.int32()),
        "size": pa.array([row.size for row in index.rows], pa.int64()),
        "sha256": pa.array([bytes.fromhex(row.sha256) for row in index.rows], pa.binary(32)),
    }
    with path.open("wb") as file:
        pq.write_table(pa.table(columns), file, compression="zstd")


def read_index(path: Path) -> Index:
    """Read a file that `write_index` wrote.

    Raises:
        ValueError, KeyError: the file is damaged.
    """
    import pyarrow.parquet as pq

    columns = pq.read_table(path).to_pydict()
    names = ("sha256", "label", "path", "size")
    rows = zip(*(columns[name] for name in names), strict=True)
    return Index([Row(sha256.hex(), label, file, size) for sha256, label, file, size in rows])


def check_files(folder: Path, rows: Iterable[Row], fix: str) -> None:
    """Check that every file of the index exists with the right size. Digests are checked when files are read.

    Args:
        folder: the folder of the image files.
        rows: the files to check.
        fix: the end of the error's advice, such as a command to run.

    Raises:
        InputError: a file is missing or has another size; the first such file is named.
    """
    for row in rows:
        path = folder / name_path(row.path)
        try:
            size = path.stat().st_size
        except OSError as error:
            raise lost_file(path, row, error, fix) from error
        if size != row.size:
            raise changed_file(path, f"{row.size} bytes", f"{size} bytes", fix)


def lost_file(path: Path, row: Row, error: OSError, fix: str) -> InputError:
    """The error for an image file that can't be opened or read after it was indexed.

    Args:
        path: the file.
        row: what the index says of it.
        error: the system's error.
        fix: the end of the advice, such as a command to run.
    """
    return InputError(
        "an image of a prepared data set can't be read",
        expected=f"a file of {row.size} bytes",
        found=error.strerror or str(error),
        where=shown(path),
        fix=PERMISSIONS if isinstance(error, PermissionError) else f"put the images back, or {fix}",
    )


def changed_file(path: Path, expected: str, found: str, fix: str) -> InputError:
    """The error for an image file that changed after it was indexed.

    Args:
        path: the file.
        expected: what the index says.
        found: what the file is now.
        fix: the end of the advice, such as a command to run.
    """
    return InputError(
        "an image was changed since its data set was prepared",
        expected=expected,
        found=found,
        where=shown(path),
        fix=f"put the original file back, or {fix}",
    )
