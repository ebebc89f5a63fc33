"""`lape data`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from suite.commands.listing import columns
from suite.data.cache import Listed, list_prepared, open_root, prepare_command
from suite.data.datasets import DATASETS
from suite.data.prepare import declaration, prepare


def prepare_data(
    name: str, source: Path | None, image_size: int | None, storage: str, data: Path | None
) -> Iterator[str]:
    """`lape data prepare`."""
    root = open_root(data)
    dataset = prepare(name, root=root, source=source, image_size=image_size, storage=storage)
    yield (
        f"{dataset.name}: {dataset.train_images} + {dataset.test_images} images, "
        f"{dataset.image_size}×{dataset.image_size}×{dataset.channels}, {dataset.num_classes} classes, in {root / name}"
    )
    yield f"sha256 {dataset.checksum}"
    if name not in DATASETS:
        yield "to use it, add to a grid file:"
        yield declaration(dataset)


def list_data(data: Path | None) -> Iterator[str]:
    """`lape data ls`."""
    root = open_root(data)
    yield f"in {root}:"
    yield from columns({entry.name: _listed(entry) for entry in list_prepared(root)})


def _listed(entry: Listed) -> str:
    """One data set of the list."""
    kind = "built in" if entry.builtin else "your own"
    if not entry.prepared:
        return f"not prepared ({kind}): {entry.note or prepare_command(entry.name)}"
    images = f"{entry.dataset.train_images} + {entry.dataset.test_images} images, " if entry.dataset else ""
    return f"prepared ({kind}): {images}{entry.size / 1e6:.1f} MB{entry.note and ', ' + entry.note}"
