"""Reading the images of a folder or archive on all cores, to prepare a data set."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np

from suite.data.archives import unpack
from suite.data.arrays import Split
from suite.data.datasets import MOST_PIXELS
from suite.data.decode import GREY_MODES, decode_oriented, header, read_file
from suite.data.index import Index, Row
from suite.data.names import name_text, shown
from suite.data.parallel import Answer, on_all_cores
from suite.data.tree import Tree, find_top, list_tree
from suite.errors import InputError
from suite.text import Progress, note

EXAMPLE_SIZES = range(8, 257)  # sides in pixels that a message suggests; photographs have more than models are made for


@dataclass
class Oriented:
    """A count of the images with an EXIF orientation, which isn't applied, and the first such image."""

    count: int = 0
    first: Path | None = None

    def add(self, path: Path) -> None:
        """Count one image."""
        self.count += 1
        self.first = self.first or path


def read_form(tree: Tree, image_size: int | None, progress: Progress) -> tuple[int, Literal[1, 3]]:
    """The image size and channels of a data set. There is 1 channel only if every image is grey.

    Args:
        tree: the image files.
        image_size: the size to which images will be resized; None if they must be squares of one size already.
        progress: receives progress updates.

    Raises:
        InputError: an image can't be read, or the images aren't squares of one size.
    """
    files = tree.paths
    progress.phase("reading the images' sizes", len(files))
    headers = []
    for found, _ in on_all_cores(f"{__name__}:header_task", [str(path) for path in files], image_size=image_size):
        headers.append(found)
        progress.advance()
    channels: Literal[1, 3] = 1 if all(mode in GREY_MODES for mode, _, _ in headers) else 3
    if image_size is not None:
        return image_size, channels
    side = headers[0][1]
    for path, (_, width, height) in zip(files, headers, strict=True):
        if width != height or width != side or width > MOST_PIXELS:
            first = shown(files[0].name)
            square = "a square" if path == files[0] else f"{side}x{side} pixels, as the first image, {first}"
            raise InputError(
                "the images are not squares of one size",
                expected=f"{square}, of at most {MOST_PIXELS}x{MOST_PIXELS} pixels",
                found=f"{width}x{height} pixels",
                where=shown(path),
                fix=f"resize and crop them all: add, for instance, --image-size {_example_size(headers)}",
            )
    return side, channels


def _example_size(headers: Sequence[tuple[str, int, int]]) -> int:
    """The most common shorter side of images, within `EXAMPLE_SIZES`; of equally common ones, the smallest.

    headers: mode, width and height of each image.
    """
    counts = Counter(min(width, height) for _, width, height in headers)
    common = min(counts, key=lambda side: (-counts[side], side))
    return min(max(common, EXAMPLE_SIZES[0]), EXAMPLE_SIZES[-1])


def read_arrays(tree: Tree, size: int, channels: int, progress: Progress) -> dict[str, Split]:
    """Decode the images of both splits, in the order of the files.

    Args:
        tree: the image files.
        size: pixels on each side of the decoded images.
        channels: 1 for grey, 3 for RGB.
        progress: receives progress updates.

    Raises:
        InputError: an image can't be read.
    """
    splits, oriented = {}, Oriented()
    progress.phase("decoding", len(tree.paths))
    for split, files in tree.splits.items():
        images = np.empty((len(files), size, size, channels), dtype=np.uint8)
        paths = [path for path, _ in files]
        names = [str(path) for path in paths]
        decoded = on_all_cores(f"{__name__}:pixels_task", names, channels=channels, size=size)
        for i, (has_orientation, pixels) in enumerate(decoded):
            images[i] = np.frombuffer(pixels, dtype=np.uint8).reshape(size, size, channels)
            progress.advance()
            if has_orientation:
                oriented.add(paths[i])
        splits[split] = Split(images, np.array([label for _, label in files], dtype=np.int64))
    _tell(tree, oriented)
    return splits


def read_index(tree: Tree, size: int, channels: int, progress: Progress) -> dict[str, Index]:
    """Make the index of both splits. Every image is decoded, so damaged files are found before training.

    Args:
        tree: the image files.
        size: pixels on each side of the decoded images.
        channels: 1 for grey, 3 for RGB.
        progress: receives progress updates.

    Raises:
        InputError: an image can't be read.
    """
    splits, oriented = {}, Oriented()
    progress.phase("reading and decoding", len(tree.paths))
    for split, files in tree.splits.items():
        rows = []
        names = [str(path) for path, _ in files]
        read = on_all_cores(f"{__name__}:digest_task", names, channels=channels, size=size)
        for (path, label), ((sha256, length, has_orientation), _) in zip(files, read, strict=True):
            rows.append(Row(sha256, label, name_text(path.relative_to(tree.folder)), length))
            progress.advance()
            if has_orientation:
                oriented.add(path)
        splits[split] = Index(sorted(rows))
    _tell(tree, oriented)
    return splits


def read_tree(folder: Path, progress: Progress) -> Tree:
    """List an image folder; see `find_top` and `list_tree`.

    Raises:
        InputError: the folder isn't an image folder, or can't be listed.
    """
    progress.phase("listing the images")
    with listing(folder):
        return list_tree(find_top(folder))


@contextmanager
def listing(folder: Path) -> Iterator[None]:
    """Convert the system's errors while a folder is listed to `InputError`."""
    try:
        yield
    except OSError as error:
        raise InputError(
            "a folder can't be read",
            expected="folders that can be listed",
            found=error.strerror or str(error),
            where=shown(str(error.filename or folder)),
            fix="change its permissions",
        ) from error


@contextmanager
def unpacked(source: Path, temporary: Path, progress: Progress) -> Iterator[Path]:
    """The folder of a source; an archive is unpacked first. Errors in the context name paths in the archive.

    Args:
        source: a folder or an archive.
        temporary: a folder in which the archive is unpacked.
        progress: receives progress updates.
    """
    if source.is_dir():
        yield source
        return
    progress.phase("unpacking the archive")
    folder = temporary / "unpacked"
    folder.mkdir()
    unpack(source, folder)
    try:
        yield folder
    except InputError as error:
        before, after = shown(folder), shown(source)
        moved = [replace(problem, where=problem.where.replace(before, after)) for problem in error.problems]
        raise InputError(problems=moved) from error


def header_task(path: str, image_size: int | None) -> Answer:
    """A task for `on_all_cores`: the result of `header`."""
    return header(Path(path), image_size), b""


def pixels_task(path: str, channels: int, size: int) -> Answer:
    """A task for `on_all_cores`: whether an image has an EXIF orientation, and its pixels.

    Args:
        path: the image file.
        channels: 1 for grey, 3 for RGB.
        size: pixels on each side of the decoded image.
    """
    pixels, has_orientation = decode_oriented(read_file(Path(path)), Path(path), channels, size)
    return has_orientation, pixels.tobytes()


def digest_task(path: str, channels: int, size: int) -> Answer:
    """A task for `on_all_cores`: an image file's SHA-256, its size in bytes, and whether it has an EXIF orientation.

    Args:
        path: the image file.
        channels: 1 for grey, 3 for RGB.
        size: pixels on each side of the decoded image.
    """
    data = read_file(Path(path))
    _, has_orientation = decode_oriented(data, Path(path), channels, size)
    return (hashlib.sha256(data).hexdigest(), len(data), has_orientation), b""


def _tell(tree: Tree, oriented: Oriented) -> None:
    """Print notes about files that were not read and orientation tags that were not applied."""
    tell_others(tree)
    if oriented.count and oriented.first is not None:
        note(
            f"{oriented.count:,} of {len(tree.paths):,} images have an EXIF orientation other than 1, which is not "
            f"applied: they stay as they are stored, such as {shown(oriented.first.relative_to(tree.folder))}; to have "
            "them upright, rotate the files themselves and prepare them again"
        )


def tell_others(tree: Tree) -> None:
    """Print a note about files that were not read."""
    if tree.others:
        names = ", ".join(shown(name) for name in tree.other_names)
        more = ", …" if tree.others > len(tree.other_names) else ""
        one, kind = tree.others == 1, tree.kind
        note(
            f"{tree.others:,} file{'' if one else 's'} of the folder {'is' if one else 'are'} not read, by "
            f"{'its name' if one else 'their names'}: {names}{more}; {kind.many} are named "
            f"{', '.join(sorted(kind.suffixes))}"
        )
