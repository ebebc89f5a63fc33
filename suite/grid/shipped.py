"""The grids, recipes and claim files that come with the suite. Those of the working folder are searched first.

In a checkout they are in `grids/` beside the package; in an installed package, inside it.
"""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path

import suite

HERE = Path("grids")  # in the working folder


@cache
def shipped_folder() -> Path:
    """The folder of what comes with the suite, as an absolute path."""
    package = Path(suite.__file__).resolve().parent
    installed = package / "shipped" / "grids"
    return installed if installed.is_dir() else package.parent / "grids"


def known_files(kind: str = "") -> dict[str, Path]:
    """The YAML files that a bare name can stand for, by that name.

    A file in `grids/` of the working folder takes the place of a shipped one with the same name. Its path is relative,
    that of a shipped file absolute.

    Args:
        kind: the folder in `grids/`: "recipes" or "claims"; "" for the grids themselves.
    """
    here, shipped = ({file.stem: file for file in (root / kind).glob("*.yaml")} for root in (HERE, shipped_folder()))
    return {**dict(sorted(here.items())), **{name: shipped[name] for name in sorted(shipped.keys() - here.keys())}}


def typed_name(file: Path) -> str:
    """What to type for one of the `known_files`: the path in the working folder, or the bare name of a shipped file."""
    return file.stem if file.is_absolute() else str(file)


def find_named(folder: Path, name: str) -> Path:
    """Return the path of a file that a grid or claim file in `folder` names, such as `claims/table2.yaml`.

    It is searched in `folder`, then in `grids/` of the working folder, then among the shipped files. If it is in none
    of them, the path in `folder` is returned. The caller checks that the path doesn't lead out of these folders.
    """
    places = (root / name for root in (folder, HERE, shipped_folder()))
    return next((path for path in places if os.path.isfile(path)), folder / name)
