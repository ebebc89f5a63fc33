"""Reading the built-in data sets from scikit-learn, from torchvision's downloads, or from their original files."""

from __future__ import annotations

import gzip
import http.client
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from suite.data.arrays import Split, canonical_order
from suite.data.names import shown
from suite.errors import InputError, first_line

Splits = dict[str, Split]

# From our names to torchvision's classes.
_TORCHVISION = {"fashion_mnist": "FashionMNIST", "cifar10": "CIFAR10", "cifar100": "CIFAR100"}
_MOST_IDX = 2**26  # limit in bytes for an unpacked file of Fashion-MNIST; the largest has 47 million


def read_digits() -> Splits:
    """scikit-learn's 1,797 digits: grey, 8x8, with values 0 to 16 scaled to uint8.

    scikit-learn has no splits. The training split is the first two thirds (rounded down) of each class in canonical
    order; the test split is the rest.
    """
    from sklearn.datasets import load_digits

    digits = load_digits()
    pixels = np.rint(digits.images * 255 / 16).astype(np.uint8)[..., None]
    whole = Split(pixels, digits.target.astype(np.int64))
    whole = whole.take(canonical_order(whole))
    train = np.zeros(len(whole), dtype=bool)
    for label in range(10):
        members = np.flatnonzero(whole.labels == label)
        train[members[: 2 * len(members) // 3]] = True
    return {"train": whole.take(np.flatnonzero(train)), "test": whole.take(np.flatnonzero(~train))}


def download(name: str, scratch: Path) -> Splits:
    """Download CIFAR-10, CIFAR-100 or Fashion-MNIST with torchvision, which checks the MD5 of each file.

    Raises:
        InputError: the server can't be reached, or it sends other files.
    """
    import torchvision.datasets

    kind: Any = getattr(torchvision.datasets, _TORCHVISION[name])
    try:
        parts = {"train": kind(scratch, train=True, download=True), "test": kind(scratch, train=False, download=True)}
    except (OSError, RuntimeError, http.client.HTTPException) as error:
        raise InputError(
            f"data set {name!r} can't be downloaded",
            expected=f"torchvision's download of {_TORCHVISION[name]}",
            found=first_line(error),
            where=getattr(kind, "url", "") or kind.mirrors[0],
            fix=f"try again later, or get the files elsewhere and run: lape data prepare {name} --from PATH",
        ) from error
    return {split: _split(part.data, part.targets) for split, part in parts.items()}


def read_files(name: str, folder: Path, scratch: Path) -> Splits | None:
    """Read a data set's original files from anywhere below `folder`; None if they aren't there.

    Args:
        name: the built-in data set.
        folder: the folder to search.
        scratch: a temporary folder for unpacked files.

    Raises:
        InputError: the files are damaged or incomplete.
    """
    if name == "fashion_mnist":
        return _read_idx(folder, scratch)
    return _read_cifar(name, folder) if name in _TORCHVISION else None


def _read_cifar(name: str, folder: Path) -> Splits | None:
    import torchvision.datasets

    kind: Any = getattr(torchvision.datasets, _TORCHVISION[name])
    found = _find(folder, kind.base_folder)
    if found is None:
        return None
    for path in found.iterdir() if found.is_dir() else ():
        _check_regular(path)
    try:
        parts = {"train": kind(found.parent, train=True), "test": kind(found.parent, train=False)}
    except RuntimeError as error:  # torchvision compares the MD5 of every file before it unpickles any
        raise InputError(
            f"the files of {name} are damaged or incomplete",
            expected=f"the files of {kind.filename}, with the MD5 sums that torchvision knows",
            found=str(error).split(". ")[0],
            where=shown(found),
            fix=f"get {kind.url} again",
        ) from error
    return {split: _split(part.data, part.targets) for split, part in parts.items()}


def _read_idx(folder: Path, scratch: Path) -> Splits | None:
    from torchvision.datasets.mnist import read_image_file, read_label_file

    first = _find(folder, "train-images-idx3-ubyte") or _find(folder, "train-images-idx3-ubyte.gz")
    if first is None:
        return None

    def read(name: str, reader: Callable[[str], Any]) -> Any:
        path = first.parent / name
        try:
            if not path.exists():
                compressed = path.with_name(f"{name}.gz")
                _check_regular(compressed)
                path = scratch / name
                with gzip.open(compressed) as file:
                    path.write_bytes(file.read(_MOST_IDX))
            _check_regular(path)
            return reader(str(path))
        except (OSError, EOFError, zlib.error, ValueError, TypeError, KeyError, RuntimeError, AssertionError) as error:
            raise InputError(
                "a file of Fashion-MNIST is missing or damaged",
                expected="the four files in the IDX format, gzipped or not",
                found=str(error) or "another format",
                where=shown(first.parent / name),
                fix="get the files again",
            ) from error

    return {
        split: _split(
            read(f"{prefix}-images-idx3-ubyte", read_image_file), read(f"{prefix}-labels-idx1-ubyte", read_label_file)
        )
        for split, prefix in (("train", "train"), ("test", "t10k"))
    }


def _check_regular(path: Path) -> None:
    """Raise `InputError` if the path is a pipe, a socket or a device, because reading it could block forever."""
    if path.exists() and not path.is_file() and not path.is_dir():
        raise InputError(
            "a part of a data set is no file",
            expected="regular files, and links to them",
            found="a pipe, a socket or a device",
            where=shown(path),
            fix="get the files again",
        )


def _find(folder: Path, name: str) -> Path | None:
    return folder if folder.name == name else next(iter(sorted(folder.rglob(name))), None)


def _split(pixels: Any, labels: Any) -> Split:
    """Convert torchvision's arrays to a `Split`. Grey images are [N, H, W] there."""
    images = np.ascontiguousarray(pixels, dtype=np.uint8)
    return Split(images if images.ndim == 4 else images[..., None], np.asarray(labels, dtype=np.int64))
