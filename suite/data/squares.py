"""Checks of data sets whose images become squares in the cache, with channels of their own: masks, or regions."""

from __future__ import annotations

from pathlib import Path

from suite.data.datasets import DATASETS
from suite.data.names import shown
from suite.data.preparation import ARRAYS_LIMIT, check_name
from suite.data.source_checks import check_image_size, check_options, check_source
from suite.errors import InputError
from suite.store.homes import expanded


def check_squares(
    name: str,
    source: Path | None,
    image_size: int | None,
    storage: str,
    *,
    option: str,
    read: str,
    squares: str,
    what: str,
    example: str,
) -> tuple[Path, int]:
    """The source, absolute, and the image size.

    Args:
        name: of the data set.
        source: the folder or archive, if one is given.
        image_size: pixels per side, if they are given.
        storage: "auto", "arrays" or "folder".
        option: the option that asks for such a data set, with the word for its value.
        read: what the source has, after "a folder or an archive of".
        squares: what becomes squares.
        what: what is read, in the plural.
        example: the source of the command that the message shows.

    Raises:
        InputError: the name or the options don't go with such a data set, or there is no such source.
    """
    flag, value = option.split()
    problems = {
        "a new name": f"{name}, a built-in data set" if name in DATASETS else "",
        f"--from with a folder or an archive of {read}": "no --from" if source is None else "",
        f"--image-size: {squares} become squares": "no --image-size" if image_size is None else "",
        "images in the cache": "--storage folder" if storage == "folder" else "",
    }
    check_options(
        name, flag, problems, f"run: lape data prepare NAME --from {example} --image-size PIXELS {flag} {value}"
    )
    assert source is not None  # it has just been checked
    assert image_size is not None
    check_name(name)
    check_image_size(image_size)
    source = expanded(source).absolute()
    check_source(source, what)
    return source, image_size


def check_fits(
    images: int,
    size: int,
    channels: int,
    *,
    what: str,
    where: Path,
    fix: str,
    sides: tuple[int | None, int | None] = (None, None),
) -> None:
    """Raise `InputError` if so many images [size, size, channels] are too large to be kept as arrays.

    Args:
        images: their number.
        size: pixels per side.
        channels: a byte each per pixel.
        what: they are, in the plural.
        where: they are read from.
        fix: what to do.
        sides: rows and columns of an image, if they aren't squares.
    """
    needed = images * (sides[0] or size) * (sides[1] or size) * channels
    if needed > ARRAYS_LIMIT:
        raise InputError(
            f"{what} too large to be kept as arrays",
            expected=f"at most {ARRAYS_LIMIT / 2**30:.0f} GiB of pixels",
            found=f"{needed / 2**30:.2f} GiB",
            where=shown(where),
            fix=fix,
        )
