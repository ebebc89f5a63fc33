"""Small files, and imports without cycles."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.conftest import REPOSITORY
from tests.distribution import LONGEST
from tests.structure import WINGS, cycle, imports

MOST_LINES = 350

# Files that are longer today, with their lines: they may shrink, not grow. Nothing is added here.
LONG: dict[str, int] = {}


def lines(file: Path) -> int:
    return len(file.read_text(encoding="utf-8").splitlines())


def test_no_file_is_too_long() -> None:
    files = [
        file
        for folder in ("suite", "tests", "benchmarks", "documentation")
        for file in (REPOSITORY / folder).rglob("*.py")
    ]
    assert len(files) > 400
    found = {str(file.relative_to(REPOSITORY)): count for file in files if (count := lines(file)) > MOST_LINES}
    grown = {file: count for file, count in found.items() if count > LONG.get(file, MOST_LINES)}
    assert not grown, f"split them into files of at most {MOST_LINES} lines"
    assert not LONG.keys() - found.keys(), "these have been split: remove them from LONG"


def test_the_wings_are_all_there() -> None:
    assert {file.parent.name for file in (REPOSITORY / "suite").glob("*/__init__.py")} == set(WINGS)


def test_files_import_each_other_without_cycles() -> None:
    graph = imports(REPOSITORY / "suite")
    assert graph["suite.cli.commands.run"] >= {"suite.errors"}
    assert cycle(graph) == []


def test_a_cycle_is_found(tmp_path: Path) -> None:
    """In a copy of the suite where the errors, which everything uses, import a command."""
    copy = tmp_path / "suite"
    shutil.copytree(REPOSITORY / "suite", copy, ignore=shutil.ignore_patterns("__pycache__"))
    errors = copy / "errors.py"
    errors.write_text(errors.read_text(encoding="utf-8") + "\nimport suite.cli.commands.run\n", encoding="utf-8")
    found = cycle(imports(copy))
    assert found[0] == found[-1]
    assert "suite.errors" in found


@pytest.mark.parametrize(
    ("text", "counts"),
    [
        ("from package import other", True),
        ("from package.other import name", True),
        ("import package.other", True),
        ("try:\n    import package.other\nexcept ImportError:\n    pass", True),
        ("class A:\n    from package import other", True),
        ("from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import package.other", False),
        ("def f():\n    import package.other", False),
        ("import other", False),
    ],
)
def test_what_counts_as_an_import(tmp_path: Path, text: str, counts: bool) -> None:
    package = tmp_path / "package"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "one.py").write_text(text)
    (package / "other.py").write_text("from package.one import f\n")
    assert sorted(set(cycle(imports(package)))) == (["package.one", "package.other"] if counts else [])


def test_the_longest_test_files_are_there() -> None:
    """They are begun first, so that none of them is begun last."""
    assert [file for file in LONGEST if not (REPOSITORY / file).is_file()] == []
