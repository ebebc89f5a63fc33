"""The index of a data set too large for the cache: its image files stay where they are."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from suite.data.arrays import SPLITS, Labels
from suite.data.names import name_path, shown
from suite.errors import InputError
from suite.store.canonical import canonical_json


@dataclass(frozen=True, order=True)
class Row:
    """One image file. Rows sort by digest, then label: the canonical order (the path only breaks ties of equals)."""

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
    """SHA-256 over the files' digests and labels, and the size and channels they are decoded to."""
    digest = hashlib.sha256(canonical_json({"image_size": image_size, "channels": channels}).encode() + b"\n")
    for name in SPLITS:
        digest.update(f"{name} {len(splits[name])}\n".encode())
        for row in splits[name].rows:
            digest.update(f"{row.sha256} {row.label}\n".encode())
    return digest.hexdigest()


def classes_checksum(classes: Sequence[str], counts: Mapping[str, int], image_size: int, channels: int) -> str:
    """SHA-256 over the class folders in alphabetical order, how many images each split has, and their decoded form."""
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
    """Read what `write_index` wrote.

    Raises:
        ValueError, KeyError: it is damaged.
    """
    import pyarrow.parquet as pq

    columns = pq.read_table(path).to_pydict()
    names = ("sha256", "label", "path", "size")
    rows = zip(*(columns[name] for name in names), strict=True)
    return Index([Row(sha256.hex(), label, file, size) for sha256, label, file, size in rows])


def check_files(folder: Path, rows: Iterable[Row], fix: str) -> None:
    """Look whether every file of the index is there, with its size; its digest is checked whenever it is read.

    Raises:
        InputError: for the first file that is missing or has another size.
    """
    for row in rows:
        path = folder / name_path(row.path)
        try:
            size = path.stat().st_size
        except OSError as error:
            raise InputError(
                "an image of a prepared data set can't be found",
                expected=f"a file of {row.size} bytes",
                found=error.strerror or str(error),
                where=shown(path),
                fix=f"put the images back, or {fix}",
            ) from error
        if size != row.size:
            raise changed_file(path, f"{row.size} bytes", f"{size} bytes", fix)


def changed_file(path: Path, expected: str, found: str, fix: str) -> InputError:
    """The error for an image file that is no longer the one that was indexed."""
    return InputError(
        "an image was changed since its data set was prepared",
        expected=expected,
        found=found,
        where=shown(path),
        fix=f"put the original file back, or {fix}",
    )
