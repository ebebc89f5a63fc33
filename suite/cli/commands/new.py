"""`lape new`: a method of one's own with its grid, its claim and its test, to start from."""

from __future__ import annotations

import keyword
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import packages_distributions
from importlib.util import find_spec
from pathlib import Path

from suite.errors import InputError, unknown
from suite.grid.axes import AXES
from suite.models.architectures import FAMILIES
from suite.store.files import make_folder, write_atomic

_TEMPLATES = Path(__file__).parents[1] / "templates"
_NAME = "my_trick"  # as the templates have it
_FILES = {
    "{kind}/method.py.txt": f"{_NAME}.py",
    "grid.yaml.txt": f"{_NAME}.yaml",
    "claim.yaml.txt": f"{_NAME}_claim.yaml",
    "{kind}/test.py.txt": f"test_{_NAME}.py",
}
_USUAL = {"arch": "my_vit", "pe": "learnable", "join": "default", "norm": "ln", "loss": "default", "dataset": "digits"}


@dataclass(frozen=True)
class Kind:
    """A kind of method.

    Args:
        name: for people.
        axis: the axis that its level is of.
        plural: the word of `lape ls` that lists such levels.
        level: the level that the example compares with the usual one.
        weights: what its grid's recipe says beside the usual.
        architecture: a line of its grid: the size of its family.
    """

    name: str
    axis: str
    plural: str
    level: str = _NAME
    weights: str = ""
    architecture: str = ""

    def words(self) -> dict[str, str]:
        """What stands for the words between @ in the templates of a grid and of a claim."""
        usual = _USUAL[self.axis]
        axes = {axis: f"{level}, {self.level}" if axis == self.axis else level for axis, level in _USUAL.items()}
        return {
            "KIND": self.name,
            "AXIS": self.axis,
            "BASELINE": usual,
            "TREATMENT": self.level,
            "WEIGHTS": self.weights,
            "SIZE": self.architecture,
            "AXES": "\n".join(f"  {axis}: [{levels}]" for axis, levels in axes.items()),
            "MATCH": ", ".join(f"{axis}: {level}" for axis, level in _USUAL.items() if axis != self.axis),
        }


KINDS = {
    "join": Kind("joining method", "join", "joins"),
    "position": Kind("position embedding", "pe", "pe"),
    "norm": Kind("norm", "norm", "norms"),
    "loss": Kind("loss", "loss", "losses", weights=f", loss_weights: {{{_NAME}: 0.1}}"),
    "architecture": Kind(
        "architecture", "arch", "archs", level=f"{_NAME}_small",
        architecture=f"\n  {_NAME}_small: {{family: {_NAME}, patch_size: 2, embed_dim: 32, depth: 4}}",
    ),
}  # fmt: skip


def write_example(name: str, kind: str, folder: Path | None) -> Iterator[str]:
    """Write the example of a kind into a folder, and say what to type next.

    Raises:
        InputError: there is no such kind, the name can't be a function's or is taken, or one of the files is there
            already. Nothing is written then.
    """
    if kind not in KINDS:
        raise unknown("kind of method", kind, KINDS, where=f"lape new {name} --kind {kind}")
    folder = Path(name) if folder is None else folder
    _check_name(name, KINDS[kind])
    files = {folder / file.replace(_NAME, name): template.format(kind=kind) for template, file in _FILES.items()}
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
        write_atomic(path, _filled(template, KINDS[kind]).replace(_NAME, name).encode())
        yield str(path)
    method, grid, _, test = files
    yield "next: lape data prepare digits"
    yield f"      lape check --methods {method}"
    yield f"      lape check {grid} --methods {method}"
    yield f"      pytest {test}"
    yield f"      lape run {grid} --methods {method}"


def method_text(kind: str) -> str:
    """The method file of a kind, with the name my_trick."""
    return _filled(f"{kind}/method.py.txt", KINDS[kind])


def _filled(template: str, kind: Kind) -> str:
    text = (_TEMPLATES / template).read_text(encoding="utf-8")
    for word, value in kind.words().items():
        text = text.replace(f"@{word}@", value)
    return text


def _is_module(name: str) -> bool:
    """Whether Python finds a module of this name. A mere folder beside the command, which it would import, is none."""
    try:
        found = find_spec(name)
    except ValueError:  # imported, and of no file
        return True
    return found is not None and found.origin is not None


def _check_name(name: str, kind: Kind) -> None:
    if not re.fullmatch(r"[a-z][a-z0-9_]{0,59}", name) or keyword.iskeyword(name):
        raise InputError(
            f"{name!r} can't be the name of a method",
            expected="a lower-case letter, then letters, digits and '_', as a function's name",
            found=repr(name),
            where=f"lape new {name}",
            fix="give another name, such as my_trick",
        )
    if name in sys.stdlib_module_names or name in packages_distributions() or _is_module(name):
        raise InputError(
            f"{name!r} is the name of a Python module already",
            expected="a name that no module has: the folder's own file would hide it from whatever runs there",
            found=repr(name),
            where=f"lape new {name}",
            fix=f"give another name, such as my_{name}"[:90],
        )
    others = (*FAMILIES, _USUAL["arch"]) if kind.axis == "arch" else ()
    if name in AXES[kind.axis].levels or name in others:
        raise InputError(
            f"{kind.name} {name!r} is there already",
            expected="a new name",
            found=name,
            where=f"lape new {name}",
            fix=f"give another name; `lape ls {kind.plural}` lists those that are taken",
        )
