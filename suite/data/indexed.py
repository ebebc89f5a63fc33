"""Reading the image files of an index. Each is compared with the digest that it had when it was prepared."""

from __future__ import annotations

import hashlib
from pathlib import Path

from suite.data.cache import prepare_command
from suite.data.datasets import Dataset
from suite.data.decode import MOST_BYTES
from suite.data.index import Row, changed_file, lost_file
from suite.data.names import name_path
from suite.data.regular_files import read_regular


def read_indexed(folder: Path, row: Row, dataset: Dataset) -> tuple[bytes, Path]:
    """The bytes of an image file, and its path.

    Args:
        folder: the folder of the image files.
        row: the file.
        dataset: the data set, for the error's advice.

    Raises:
        InputError: the file is missing, can't be read, or changed after it was indexed.
    """
    path = folder / name_path(row.path)
    try:
        data = read_regular(path, MOST_BYTES)
    except OSError as error:
        raise lost_file(path, row, error, _advice(folder, dataset)) from error
    found = hashlib.sha256(data).hexdigest()
    if found != row.sha256:
        raise changed_file(path, f"SHA-256 {row.sha256}", f"SHA-256 {found}", _advice(folder, dataset))
    return data, path


def _advice(folder: Path, dataset: Dataset) -> str:
    return f"run: {prepare_command(dataset.name, dataset, folder)}"
