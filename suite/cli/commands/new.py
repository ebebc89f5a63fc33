"""`lape new`: a method of one's own with its grid, its claim and its test, to start from."""

from __future__ import annotations

import keyword
import re
import sys
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from pathlib import Path

from suite.errors import InputError
from suite.grid.axes import AXES
from suite.store.files import make_folder, write_atomic

_TEMPLATES = Path(__file__).parents[1] / "templates"
_NAME = "my_trick"  # as the templates have it
_FILES = {
    "method.py.txt": f"{_NAME}.py",
    "grid.yaml.txt": f"{_NAME}.yaml",
    "claim.yaml.txt": f"{_NAME}_claim.yaml",
    "test.py.txt": f"test_{_NAME}.py",
}


def write_example(name: str, folder: Path | None) -> Iterator[str]:
    """Write the example into a folder, and say what to type next.

    Raises:
        InputError: the name can't be a function's or is taken, or one of the files is there already. Nothing is written
            then.
    """
    folder = Path(name) if folder is None else folder
    if not re.fullmatch(r"[a-z][a-z0-9_]{0,59}", name) or keyword.iskeyword(name):
        raise InputError(
            f"{name!r} can't be the name of a method",
            expected="a lower-case letter, then letters, digits and '_', as a function's name",
            found=repr(name),
            where=f"lape new {name}",
            fix="give another name, such as my_trick",
        )
    if name in sys.stdlib_module_names or name in packages_distributions():
        raise InputError(
            f"{name!r} is the name of a Python module already",
            expected="a name that no module has: the folder's own file would hide it from whatever runs there",
            found=repr(name),
            where=f"lape new {name}",
            fix=f"give another name, such as my_{name}"[:90],
        )
    if name in AXES["join"].levels:
        raise InputError(
            f"{name!r} is a joining method already",
            expected="a new name",
            found=AXES["join"].levels[name].description,
            where=f"lape new {name}",
            fix="give another name; `lape ls joins` lists those that are taken",
        )
    files = {folder / file.replace(_NAME, name): template for template, file in _FILES.items()}
    if there := [str(path) for path in files if path.exists()]:
        raise InputError(
            "files that are there already",
            expected=f"a folder without files of {name}",
            found=", ".join(there),
            where=str(folder),
            fix="give another name, or another folder with --into",
        )
    make_folder(folder)
    for path, template in files.items():
        write_atomic(path, (_TEMPLATES / template).read_text(encoding="utf-8").replace(_NAME, name).encode())
        yield str(path)
    method, grid, _, test = files
    yield "next: lape data prepare digits"
    yield f"      lape check --methods {method}"
    yield f"      lape check {grid} --methods {method}"
    yield f"      pytest {test}"
    yield f"      lape run {grid} --methods {method}"
