"""The cache of prepared data sets: its location, its files and their verification.

It also has teachers, frozen backbones (`suite.train`) and corrupted copies (`suite.data.corruptions.stored`).

<root>/<name>/meta.json                          the data set's facts, with its checksum
              {train,test}-{images,labels}.npy   storage "arrays", in canonical order
              {train,test}.parquet               storage "folder": an index; the images stay where they are
"""

from __future__ import annotations

import errno
import os
import shlex
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, ValidationError

from suite.data.arrays import SPLITS, Split, arrays_checksum
from suite.data.datasets import DATASETS, Dataset
from suite.data.index import Index, check_files, classes_checksum, index_checksum, read_index, write_index
from suite.data.names import name_path, shown
from suite.errors import InputError, first_line
from suite.store.files import cannot_write, check_folder
from suite.store.homes import expanded, home_folder

META = "meta.json"
_ANOTHER = "name a folder that you can write by --data (or LAPE_DATA), or set HOME to one"
TEACHERS = "teachers"  # a folder of the cache that isn't a data set
CORRUPTIONS = "corruptions"  # another one: corrupted copies of test images
BACKBONES = "backbones"  # another one: weights of frozen backbones


class Meta(BaseModel):
    """The content of `meta.json`. A changed `stamp` means that the source of a custom data set changed."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    format: Literal[1] = 1
    dataset: Dataset
    classes: tuple[str, ...] = ()  # the class folders of an image folder
    stamp: str = ""
    images: str = ""  # storage "folder": where the image files are
    index: str = ""  # SHA-256 of the index, or of the arrays, if the data set's checksum covers something else

    @property
    def folder(self) -> Path | None:
        """The folder of the image files; None for storage "arrays"."""
        return Path(name_path(self.images)) if self.images else None


def data_root() -> Path:
    """The folder of the prepared data sets: $LAPE_DATA, else `lape` in $XDG_CACHE_HOME or ~/.cache."""
    if chosen := os.environ.get("LAPE_DATA"):
        return expanded(Path(chosen)).absolute()
    cache = os.environ.get("XDG_CACHE_HOME")
    return (Path(cache) if cache else home_folder(_ANOTHER) / ".cache").absolute() / "lape"


def open_root(folder: Path | None = None) -> Path:
    """The given folder, or `data_root`, as the cache. Raises `InputError` if the path can't be used as a folder."""
    root = (folder or data_root()).absolute()
    try:
        check_folder(root)
    except InputError as error:
        raise _with_advice(error) from None
    return root


def _with_advice(error: InputError) -> InputError:
    return InputError(problems=[replace(problem, fix=_ANOTHER) for problem in error.problems])


def prepare_command(name: str, dataset: Dataset | None = None, folder: Path | None = None) -> str:
    """The command line that prepares a data set, for messages.

    Args:
        name: the data set's name.
        dataset: gives the options of a custom data set.
        folder: where its images were when it was prepared. It is named if it is still there.
    """
    source = f" --from {shlex.quote(shown(folder)) if folder is not None and os.path.isdir(folder) else 'PATH'}"
    command = f"lape data prepare {name}"
    if name in DATASETS:
        return command + (source if DATASETS[name].storage == "folder" else "")
    if dataset is None:
        return command + source
    return f"{command}{'' if dataset.generated else source} {dataset.options}"


def load_meta(name: str, root: Path) -> Meta | None:
    """Read the `meta.json` of a prepared data set; None if there is no data set of this name.

    Raises:
        InputError: `meta.json` exists but can't be read.
    """
    path = root / name / META
    try:
        return Meta.model_validate_json(path.read_bytes())
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValidationError) as error:
        raise damaged(path, "what `lape data prepare` wrote", first_line(error), prepare_command(name)) from error


def load_split(dataset: Dataset, name: str, root: Path) -> Split:
    """Load one split of storage "arrays". The arrays are memory-mapped copy-on-write, so processes share the memory.

    Args:
        dataset: the data set.
        name: the split, "train" or "test".
        root: the cache.

    Raises:
        InputError: a file is missing, or isn't an array of the right dtype and dimensions.
    """
    return Split(
        _load_array(dataset, f"{name}-images.npy", root, np.uint8, 4),
        _load_array(dataset, f"{name}-labels.npy", root, np.int64, 1),
    )


def load_index(dataset: Dataset, name: str, root: Path) -> Index:
    """Load the index of one split of storage "folder"; arguments as in `load_split`.

    Raises:
        InputError: the index is missing or can't be read.
    """
    path = root / dataset.name / f"{name}.parquet"
    try:
        return read_index(path)
    except (OSError, ValueError, KeyError) as error:
        command = prepare_command(dataset.name, dataset)
        raise damaged(path, "the index that was written", first_line(error), command) from error


def verify(dataset: Dataset, root: Path) -> None:
    """Check that a data set is prepared, equals the declared one, and is undamaged.

    For storage "arrays", the checksum of all arrays is computed. For storage "folder", it is computed from the index,
    and every image file must exist with the right size. A file's own digest is checked whenever the file is read.

    Raises:
        InputError: a check fails.
    """
    command = prepare_command(dataset.name, dataset)
    meta = load_meta(dataset.name, root)
    if meta is None:
        raise InputError(
            f"data set {dataset.name!r} is not prepared",
            expected=f"the data set in the cache, {root}",
            found="nothing under this name",
            where=str(root / dataset.name),
            fix=f"run: {command}",
        )
    _check_same(dataset, meta.dataset, root / dataset.name / META)
    command = prepare_command(dataset.name, dataset, meta.folder)
    indices: dict[str, Index] = {}
    if dataset.storage == "arrays":
        found = dataset.whole_checksum(stored := arrays_checksum({n: load_split(dataset, n, root) for n in SPLITS}))
    else:
        indices = {name: load_index(dataset, name, root) for name in SPLITS}
        stored = found = index_checksum(indices, dataset.image_size, dataset.channels)
        if dataset.checksum_of == "classes":
            counts = {name: len(index) for name, index in indices.items()}
            found = classes_checksum(meta.classes, counts, dataset.image_size, dataset.channels)
    if meta.index and stored != meta.index:  # the data set's checksum doesn't cover what is stored
        raise damaged(root / dataset.name, f"files of SHA-256 {meta.index}", f"SHA-256 {stored}", command)
    if found != dataset.checksum:
        raise damaged(root / dataset.name, f"SHA-256 {dataset.checksum}", f"SHA-256 {found}", command)
    for index in indices.values():
        check_files(meta.folder or Path(), index.rows, f"run: {command}")


def prepared_files(name: str, root: Path) -> tuple[tuple[str, int, int], ...]:
    """Name, size in bytes and modification time in ns of each file of a data set; equal if no file was changed."""
    try:
        stats = sorted((path.name, path.stat()) for path in (root / name).iterdir())
    except OSError:
        return ()
    return tuple((file, stat.st_size, stat.st_mtime_ns) for file, stat in stats)


def publish(meta: Meta, splits: Mapping[str, Split] | Mapping[str, Index], root: Path) -> None:
    """Write a prepared data set atomically: under a temporary name, flushed to disk, then renamed.

    Args:
        meta: the content of `meta.json`.
        splits: arrays or indices, by split.
        root: the cache.

    Raises:
        InputError: the disk is full or the cache isn't writable. Existing files are unchanged.
    """
    target = root / meta.dataset.name
    with scratch(root) as temporary:
        new = temporary / "new"
        try:
            new.mkdir()
            for name, split in splits.items():
                if isinstance(split, Split):
                    _save(new / f"{name}-images.npy", split.images)
                    _save(new / f"{name}-labels.npy", split.labels)
                else:
                    write_index(new / f"{name}.parquet", split)
            (new / META).write_text(meta.model_dump_json(indent=1) + "\n", encoding="utf-8")
            for path in (*new.iterdir(), new):
                _flush(path)
            if target.exists():  # damaged, or another data set of this name: removed with the temporary folder
                os.replace(target, temporary / "old")
            try:
                os.replace(new, target)
            except OSError:
                if not target.exists():
                    raise
                return  # another process has just prepared the same data set
            _flush(root)
        except OSError as error:
            raise _unwritable(target, error) from error


def _unwritable(path: Path, error: OSError) -> InputError:
    found = cannot_write(path, error)
    return found if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG) else _with_advice(found)


@contextmanager
def scratch(root: Path) -> Iterator[Path]:
    """A temporary folder in the cache, so on the same disk; removed at the end.

    Raises:
        InputError: the cache isn't writable.
    """
    try:
        root.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(prefix=".preparing-", dir=root))
        temporary.chmod(0o755)  # mkdtemp creates a folder that only its owner can read
    except OSError as error:
        raise _unwritable(root / "folder", error) from error
    try:
        yield temporary
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _check_same(declared: Dataset, prepared: Dataset, where: Path) -> None:
    # A grid may choose its own mean and std; they are part of the trial id.
    differences = [
        name
        for name in Dataset.model_fields
        if name not in ("source", "mean", "std") and getattr(declared, name) != getattr(prepared, name)
    ]
    if differences:
        raise InputError(
            f"the prepared data set {declared.name!r} is another than the declared one",
            expected=", ".join(f"{name} {getattr(declared, name)}" for name in differences),
            found=", ".join(f"{name} {getattr(prepared, name)}" for name in differences),
            where=str(where),
            fix=f"prepare the declared one: {prepare_command(declared.name, declared)}"
            + ("" if declared.name in DATASETS else "; or declare the prepared one, as that command prints it"),
        )


def _load_array(dataset: Dataset, file: str, root: Path, dtype: type[np.generic], dimensions: int) -> Any:
    path = root / dataset.name / file
    expected = f"a {dimensions}-dimensional {dtype.__name__} array"
    command = prepare_command(dataset.name, dataset)
    try:
        array = np.lib.format.open_memmap(path, mode="c")  # unlike np.load, its errors don't suggest to allow pickle
    except Exception as error:  # NumPy parses a damaged header as Python: ValueError, TokenError, OverflowError, …
        raise damaged(path, expected, first_line(error), command) from error
    if array.dtype != dtype or array.ndim != dimensions:
        raise damaged(path, expected, f"a {array.ndim}-dimensional {array.dtype} array", command)
    return array


def _save(path: Path, array: npt.NDArray[Any]) -> None:
    # np.save isn't used: if the disk is full, its error doesn't contain the system's reason.
    with path.open("wb") as file:
        np.lib.format.write_array_header_1_0(file, np.lib.format.header_data_from_array_1_0(array))
        file.write(np.ascontiguousarray(array).data)


def _flush(path: Path) -> None:
    """Flush a file or a folder to the disk."""
    if path.is_dir() and os.name == "nt":
        return  # Windows can't open folders and doesn't need this
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def damaged(where: Path, expected: str, found: str, command: str) -> InputError:
    """The error for a prepared data set whose files in the cache aren't what was written.

    Args:
        where: the file or folder.
        expected: what was written.
        found: what is there.
        command: prepares it again.
    """
    return InputError(
        "a prepared data set is damaged on disk",
        expected=expected,
        found=found,
        where=str(where),
        fix=f"prepare it again: {command}",
    )
