"""Checks of what `lape data prepare` is given, before anything is read."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from suite.data.archives import is_archive, not_archive
from suite.data.datasets import MOST_PIXELS
from suite.data.names import shown
from suite.data.walk import check_link
from suite.errors import InputError


def check_source(source: Path, what: str) -> None:
    """Raise `InputError` unless the source is a folder or an archive.

    Args:
        source: the path, absolute.
        what: what is read from it, in the plural.
    """
    check_link(source)
    if not source.is_dir() and not (source.is_file() and is_archive(source)):
        found, fix = not_archive(source) if source.is_file() else ("a pipe, a socket or a device", "")
        raise InputError(
            f"no {what} to read",
            expected="a folder, or a zip or tar archive",
            found=found if source.exists() else "nothing",
            where=shown(source),
            fix=fix or "check the path after --from",
        )


def check_image_size(image_size: int) -> None:
    """Raise `InputError` for an image size that no data set can have."""
    if not 1 <= image_size <= MOST_PIXELS:
        raise InputError(
            "an impossible image size",
            expected=f"from 1 to {MOST_PIXELS} pixels",
            found=str(image_size),
            where=f"--image-size {image_size}",
            fix="change --image-size",
        )


def check_options(name: str, option: str, problems: Mapping[str, str], fix: str) -> None:
    """Raise `InputError` if some options don't go with the one that says what a data set consists of.

    Args:
        name: the data set's.
        option: the option that the others must go with.
        problems: by what is expected beside it, what was found instead; empty where nothing is wrong.
        fix: what to do.
    """
    for expected, found in problems.items():
        if found:
            raise InputError(
                "options that don't go together",
                expected=f"with {option}, {expected}",
                found=found,
                where=f"lape data prepare {name}",
                fix=fix,
            )
