"""`lape data prepare NAME --listops SETTINGS`: generate or read lists, and keep them as a data set."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

from suite.data.again import is_whole
from suite.data.arrays import SPLITS, Split, arrays_checksum
from suite.data.cache import Meta, load_meta, publish, verify
from suite.data.copies import Named, note_copies
from suite.data.datasets import DATASETS, TOKEN_MEAN, TOKEN_STD, Dataset
from suite.data.listops.generate import generate
from suite.data.listops.reading import FILES, read_lists
from suite.data.listops.settings import CLASSES, ListOps
from suite.data.names import shown
from suite.data.preparation import check_name, sort_splits
from suite.data.source_checks import check_options
from suite.errors import InputError
from suite.store.homes import expanded
from suite.text import Progress

_PAPER = "Long Range Arena (arXiv 2011.04006)"


def prepare_lists(name: str, settings: ListOps, *, root: Path, source: Path | None = None) -> Dataset:
    """Prepare a data set of lists in the cache and verify it. Undamaged generated lists are not generated again.

    Args:
        name: a new name.
        settings: the settings: with a seed for lists to generate, without one for lists to read.
        root: the cache.
        source: a folder with the published files; see `read_lists`.

    Raises:
        InputError: the name can't be used, settings and source don't go together, there are too few such lists, a file
            can't be used, or the cache isn't writable.
    """
    _check(name, settings, source)
    with Progress(f"preparing {name}") as progress:
        if source is None:
            progress.phase("verifying what is there")
            try:
                known = load_meta(name, root)
            except InputError:
                known = None  # damaged: prepare it again
            if known is not None and known.dataset.listops == settings and is_whole(known.dataset, root, progress):
                return known.dataset
            splits = generate(settings, progress)
        else:
            splits = read_lists(expanded(source).absolute(), settings, progress)
        progress.phase("sorting and writing")
        note_copies({split: _named(split, splits[split]) for split in SPLITS})
        splits = sort_splits(splits)
        dataset = Dataset(
            name=name,
            num_classes=CLASSES,
            image_size=settings.max_length,
            channels=1,
            train_images=settings.train,
            test_images=settings.test,
            mean=TOKEN_MEAN,
            std=TOKEN_STD,
            checksum=settings.checksum(arrays_checksum(splits)),
            source=f"lists generated as for {_PAPER}" if source is None else f"lists of {shown(source.name)}",
            listops=settings,
        )
        publish(Meta(dataset=dataset, classes=tuple(map(str, range(CLASSES)))), splits, root)
        verify(dataset, root)
    return dataset


def _check(name: str, settings: ListOps, source: Path | None) -> None:
    problems = {
        "a new name": f"{name}, a built-in data set" if name in DATASETS else "",
        "a seed, to generate lists": "no seed and no --from" if source is None and settings.seed is None else "",
        "a seed or --from, and not both": "both" if source is not None and settings.seed is not None else "",
    }
    check_options(
        name,
        "--listops",
        problems,
        f"generate lists with a seed, or leave it out and give --from a folder with {' and '.join(FILES.values())}",
    )
    check_name(name)


def _named(split: str, lists: Split) -> Iterator[Named]:
    for place, (row, label) in enumerate(zip(lists.images, lists.labels, strict=True), 1):
        yield hashlib.sha256(row.tobytes()).digest(), int(label), f"list {place} of {split}"
