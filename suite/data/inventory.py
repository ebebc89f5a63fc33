"""The list of data sets: what is prepared in the cache, what is damaged there, and what could be prepared."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from suite.data.arrays import SPLITS
from suite.data.cache import META, Meta, damaged, load_index, load_meta, load_split, prepare_command, prepared_files
from suite.data.datasets import DATASETS, Dataset
from suite.data.index import Row, check_files
from suite.errors import InputError

LISTED_IMAGES = 100_000  # image files of a folder, evenly spaced, whose sizes are compared: some seconds at most


@dataclass(frozen=True)
class Listed:
    """One line of `lape data ls`. `dataset` is None if its facts can't be read; `size` is in bytes.

    `note` says why the data set doesn't count as prepared, and what to do. `damaged`: it was prepared, but isn't whole.
    """

    name: str
    builtin: bool
    prepared: bool
    dataset: Dataset | None
    size: int
    note: str = ""
    damaged: bool = False


def list_prepared(root: Path) -> list[Listed]:
    """List all built-in data sets, then all others in the cache.

    Checksums are not verified; `verify` does that. Of a data set of storage "folder", the sizes of up to
    `LISTED_IMAGES` image files are compared with the index.
    """
    folders = sorted(path.name for path in root.iterdir() if (path / META).exists()) if root.is_dir() else []
    return [_listed(name, root) for name in (*DATASETS, *(name for name in folders if name not in DATASETS))]


def _listed(name: str, root: Path) -> Listed:
    builtin = name in DATASETS
    facts = DATASETS[name] if builtin else None
    size = sum(size for _, size, _ in prepared_files(name, root))
    try:
        meta = load_meta(name, root)
    except InputError as error:
        return Listed(name, builtin, False, facts, size, f"damaged; {error.problems[0].fix}", damaged=True)
    if meta is None:
        return Listed(name, builtin, False, facts, size, f"run {prepare_command(name)}")
    if facts is not None and meta.dataset.checksum != facts.checksum:
        return Listed(name, builtin, False, facts, size, f"it is another version; run {prepare_command(name)}")
    try:
        rows = [row for split in SPLITS for row in _counted(meta.dataset, split, root)]
    except InputError as error:
        return Listed(name, builtin, False, meta.dataset, size, f"damaged; {error.problems[0].fix}", damaged=True)
    try:
        _check_some(meta, rows)
    except InputError as error:
        problem = error.problems[0]
        note = f"{problem.what}: {problem.where}; {problem.fix}"
        return Listed(name, builtin, False, meta.dataset, size, note, damaged=True)
    return Listed(name, builtin, True, meta.dataset, size)


def _counted(dataset: Dataset, split: str, root: Path) -> list[Row]:
    """The rows of a split's index; none for storage "arrays".

    Raises:
        InputError: a split's files can't be opened, or don't hold the declared number of images.
    """
    rows: list[Row] = []
    if dataset.storage == "arrays":
        arrays = load_split(dataset, split, root)
        found = {len(arrays.images), len(arrays.labels)}
    else:
        rows = load_index(dataset, split, root).rows
        found = {len(rows)}
    expected = dataset.train_images if split == "train" else dataset.test_images
    if found != {expected}:
        command = prepare_command(dataset.name, dataset)
        raise damaged(root / dataset.name, f"{expected} images", " and ".join(map(str, sorted(found))), command)
    return rows


def _check_some(meta: Meta, rows: list[Row]) -> None:
    if meta.folder is not None and rows:
        step = -(-len(rows) // LISTED_IMAGES)
        command = prepare_command(meta.dataset.name, meta.dataset, meta.folder)
        check_files(meta.folder, rows[::step], f"run: {command}")
