"""A data set that is prepared already, when `lape data prepare` is asked for it again."""

from __future__ import annotations

from pathlib import Path

from suite.data.arrays import SPLITS
from suite.data.cache import Meta, load_index, load_meta, prepare_command, verify
from suite.data.datasets import DATASETS, Dataset
from suite.data.index import Row
from suite.data.indexed import read_indexed
from suite.data.parallel import in_parallel
from suite.errors import InputError, unknown
from suite.text import Progress

STORED = {"arrays": "arrays", "folder": "a folder"}


def prepared_before(name: str, root: Path, image_size: int | None, storage: str, progress: Progress) -> Dataset:
    """Verify and return a data set of the user's own that was prepared before.

    Args:
        name: its name.
        root: the cache.
        image_size: pixels per side, if they are requested.
        storage: "arrays", "folder", or "auto" for either.
        progress: receives progress updates.

    Raises:
        InputError: there is none, it has another form than the requested one, or it isn't whole.
    """
    meta = load_meta(name, root)
    if meta is None:
        raise unknown(
            "data set",
            name,
            DATASETS,
            expected="a built-in data set, or --from with a folder or archive of images",
            where="lape data prepare",
            fix=f"or run: lape data prepare {name} --from PATH",
        )
    dataset = meta.dataset
    other = [f"--image-size {image_size}"] if image_size not in (None, dataset.image_size) else []
    other += [f"--storage {storage}"] if storage not in ("auto", dataset.storage) else []
    if other:
        form = f"images of {dataset.image_size} pixels, stored as {STORED[dataset.storage]}"
        raise InputError(
            f"{name!r} is prepared in another form",
            expected=f"{form}: so they are prepared",
            found=" and ".join(other),
            where=f"lape data prepare {name}",
            fix=f"leave the options out; or {_otherwise(meta, image_size, storage)}",
        )
    verify_files(dataset, root, progress)
    return dataset


def _otherwise(meta: Meta, image_size: int | None, storage: str) -> str:
    """How to prepare a data set again with another image size or storage."""
    dataset = meta.dataset
    if dataset.sound or dataset.listops or dataset.segmentation or dataset.regions:
        return "prepare it again from its files, with all of its options"
    wanted = {
        "image_size": image_size or dataset.image_size,
        "storage": dataset.storage if storage == "auto" else storage,
    }
    command = prepare_command(dataset.name, dataset.model_copy(update=wanted), meta.folder)
    arrays = " --storage arrays" if storage == "arrays" else ""  # else it goes by size
    return f"run: {command}{arrays}, with another name to keep this one too"


def is_whole(dataset: Dataset, root: Path, progress: Progress) -> bool:
    """Whether the data set is prepared and undamaged, with every file of it read; see `verify_files`."""
    try:
        verify_files(dataset, root, progress)
    except InputError:
        return False
    return True


def verify_files(dataset: Dataset, root: Path, progress: Progress) -> None:
    """Like `verify`, and for storage "folder" every image file is read, to compare its digest.

    A run reads each file anyway, and fails at one that changed without another size or time. It then advises to prepare
    the data set again, so this must find what it has found.

    Raises:
        InputError: a check fails.
    """
    verify(dataset, root)
    meta = load_meta(dataset.name, root)
    if meta is None or meta.folder is None:
        return
    folder = meta.folder
    rows = [row for split in SPLITS for row in load_index(dataset, split, root).rows]
    progress.phase("reading the images again", len(rows))

    def check(row: Row) -> None:
        read_indexed(folder, row, dataset)

    for _ in in_parallel(check, rows):
        progress.advance()
