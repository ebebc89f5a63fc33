"""Reading BSDS500: photographs with the regions that several people drew in each (Arbeláez et al., 2011).

The folder is that of the published archive, BSDS500/data: images/SPLIT/NAME.jpg and groundTruth/SPLIT/NAME.mat.
"""

from __future__ import annotations

import io
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from suite.data.decode import header, read_file
from suite.data.names import listed, shown
from suite.data.regular_files import read_regular
from suite.data.windows import Window, decode_windows
from suite.errors import InputError
from suite.store.disguises import START, beginning, foreign, not_sent

IMAGES, ANNOTATIONS = "images", "groundTruth"
_VARIABLE = "groundTruth"
_MOST_CELLS = 1000  # people who annotated a photograph
_MOST_BYTES = 2**26  # of a file of annotations; the published ones have less than 1 MB


@dataclass(frozen=True)
class Annotated:
    """A photograph and its annotations.

    Attributes:
        name: of its files, without suffix.
        image: the path of the photograph.
        annotations: for each person, the region of each pixel, [height, width].
    """

    name: str
    image: Path
    annotations: tuple[npt.NDArray[np.uint16], ...]

    def square(self, side: int) -> npt.NDArray[np.uint8]:
        """The whole photograph, resized bicubically to uint8 [side, side, 3]; its proportions change.

        Raises:
            InputError: the file is damaged.
        """
        data = read_file(self.image)
        whole = Window(lambda height, width: (0, 0, height, width), bicubic=True)
        (pixels,) = decode_windows(data, self.image, 3, side, [whole])
        return pixels


def read_bsds500(folder: Path, split: str) -> list[Annotated]:
    """Read the annotations of a split, by name. Photographs are checked for their sizes, and decoded later.

    Args:
        folder: that holds images/ and groundTruth/.
        split: the name of a folder in both: "train", "val" or "test".

    Raises:
        InputError: a folder or a file of a pair is missing, or a file can't be read.
    """
    parts = {part: folder / part / split for part in (IMAGES, ANNOTATIONS)}
    for part, path in parts.items():
        if not path.is_dir():
            inside = sorted(child.name for child in (folder / part).glob("*") if child.is_dir())
            raise InputError(
                f"this folder has no {part}/{split} of BSDS500",
                expected=f"the folders {IMAGES}/{split} and {ANNOTATIONS}/{split}",
                found=f"in {part}: {listed(inside)}" if inside else f"no splits in {part}",
                where=shown(folder),
                fix="give the folder BSDS500/data of the published archive, and one of its splits",
            )
    photographs = _by_name(parts[IMAGES], ".jpg")
    annotations = _by_name(parts[ANNOTATIONS], ".mat")
    for names, others, missing in (
        (photographs, annotations, f"{ANNOTATIONS}/{split}/NAME.mat for each photograph"),
        (annotations, photographs, f"{IMAGES}/{split}/NAME.jpg for each file of annotations"),
    ):
        if alone := sorted(names.keys() - others.keys()):
            raise InputError(
                "photographs and annotations of BSDS500 don't belong together",
                expected=missing,
                found=f"none for {len(alone)} of {len(names)}: {listed(alone)}",
                where=shown(folder),
                fix="copy the missing files, or remove these",
            )
    if not photographs:
        raise InputError(
            "a split of BSDS500 is empty",
            expected="photographs with the suffix .jpg",
            found="none",
            where=shown(parts[IMAGES]),
            fix="copy the published files there",
        )
    return [Annotated(name, path, _annotations(annotations[name], path)) for name, path in sorted(photographs.items())]


def _by_name(folder: Path, suffix: str) -> dict[str, Path]:
    """The files of this suffix, in upper or lower case, by their name without it."""
    found: dict[str, Path] = {}
    for path in sorted(folder.iterdir()):
        if path.suffix.lower() != suffix:
            continue
        if path.stem in found:
            raise InputError(
                "two files of BSDS500 have one name",
                expected=f"one file {path.stem}{suffix}",
                found=f"{found[path.stem].name} and {path.name}",
                where=shown(folder),
                fix="remove one of them",
            )
        found[path.stem] = path
    return found


def _annotations(path: Path, image: Path) -> tuple[npt.NDArray[np.uint16], ...]:
    """The regions that each person drew, from the variable groundTruth of a MATLAB file."""
    _, width, height = header(image)
    drawn = []
    for cell in _cells(path):
        regions = _segmentation(cell)
        if regions is None or regions.ndim != 2 or not np.issubdtype(regions.dtype, np.integer):
            raise _wrong(path, "a matrix of whole numbers, Segmentation, in each cell of groundTruth", _kind(regions))
        if regions.shape != (height, width):
            found = f"regions of {regions.shape[1]}×{regions.shape[0]} pixels"
            raise _wrong(path, f"regions of {width}×{height} pixels, as its photograph has", found)
        if regions.min() < 0 or regions.max() > np.iinfo(np.uint16).max:
            raise _wrong(path, "numbers of regions from 0 to 65,535", f"{regions.min()} to {regions.max()}")
        drawn.append(regions.astype(np.uint16))
    return tuple(drawn)


def _cells(path: Path) -> list[Any]:
    from scipy.io import loadmat, whosmat

    try:
        data = read_regular(path, _MOST_BYTES)
    except OSError as error:
        raise _wrong(path, "a file of annotations", error.strerror or str(error)) from error
    file: Any = io.BytesIO(data)  # SciPy takes files, which its stubs don't say
    try:
        count = next((math.prod(shape) for name, shape, _ in whosmat(file) if name == _VARIABLE), 0)
        file.seek(0)
        # SciPy makes an array of so many cells, whatever the file holds.
        content = loadmat(file, variable_names=[_VARIABLE]) if count <= _MOST_CELLS else {}
    except Exception as error:  # SciPy's reader raises ValueError, TypeError, zlib.error and more for damaged files
        raise _wrong(path, "a MATLAB file of version 5, as it was published", _instead(data[:START])) from error
    if count > _MOST_CELLS:
        raise _wrong(path, f"at most {_MOST_CELLS:,} cells", f"{_VARIABLE} with {count:,} cells")
    cells = content.get(_VARIABLE)
    if not isinstance(cells, np.ndarray) or cells.dtype != object or not cells.size:
        raise _wrong(path, "a cell array groundTruth with a cell for each person", _kind(cells))
    return list(cells.ravel())


def _instead(start: bytes) -> str:
    """What a file is that SciPy can't read, by its first bytes. A MATLAB file has its version in bytes 124 to 128."""
    if sent := not_sent(start):
        return sent.name
    if start[124:128] in (b"\x00\x01IM", b"\x01\x00MI"):
        return "a MATLAB file of version 5 that is damaged or cut short"
    if start.startswith(b"MATLAB 7.3"):
        return "a MATLAB file of version 7.3"
    return foreign(start) or beginning(start)


def _segmentation(cell: Any) -> npt.NDArray[Any] | None:
    """The field Segmentation of a structure; None if there is none."""
    if not isinstance(cell, np.ndarray) or cell.size != 1 or "Segmentation" not in (cell.dtype.names or ()):
        return None
    regions = cell["Segmentation"].item()
    return regions if isinstance(regions, np.ndarray) else None


def _kind(value: Any) -> str:
    if isinstance(value, np.ndarray):
        return f"an array of {value.dtype} with the shape {list(value.shape)}"
    return "none" if value is None else type(value).__name__


def _wrong(path: Path, expected: str, found: str) -> InputError:
    return InputError(
        "a file of annotations of BSDS500 can't be used",
        expected=expected,
        found=found,
        where=shown(path),
        fix="replace it by the published file, or remove it with its photograph",
    )
