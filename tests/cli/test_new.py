"""`lape new`, and the page that shows how to bring a method of one's own: its commands are run as they stand there."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from suite.grid.methods import loaded_files, unload
from suite.store.folder import Store
from tests.cli.shell import Shell
from tests.conftest import REPOSITORY

PAGE = (REPOSITORY / "docs" / "bring_your_own.md").read_text(encoding="utf-8")


@pytest.fixture(autouse=True)
def _forget() -> Iterator[None]:
    yield
    unload(loaded_files())


def commands() -> list[list[str]]:
    block = re.search(r"```sh\n(.*?)```", PAGE, re.DOTALL)
    assert block is not None
    return [shlex.split(line) for line in block[1].splitlines()]


def test_the_commands_of_the_page_lead_to_a_verdict(lape: Shell, tmp_path: Path) -> None:
    done = []
    for program, *arguments in commands():
        assert program == "lape"
        shorter = ["--set", "recipe.epochs=2"] if arguments[0] in ("run", "verify") else []
        serial = ["--executor", "serial"] if arguments[0] == "run" else []
        out = lape(*arguments, *shorter, *serial)
        assert lape.code == 0, lape.out + lape.err
        done.append(arguments[0])
        if arguments[0] in ("run", "verify"):
            assert "my_trick over default" in " ".join(out.split())
            assert any("my_trick over default" in line and line.endswith("  5") for line in out.splitlines())
    assert done == ["new", "data", "check", "check", "run", "verify"]
    records = Store(tmp_path / "results" / "my_trick").records().values()
    assert len(records) == 10
    assert {record.status for record in records} == {"done"}
    shown = re.search(r"<!-- method -->\n\n```python\n(.*?)```", PAGE, re.DOTALL)
    assert shown is not None
    method = (tmp_path / "my_trick" / "my_trick.py").read_text(encoding="utf-8")
    assert method == shown[1]
    assert len(method.splitlines()) <= 10


def test_its_test_passes_and_fails_when_the_formula_is_another(lape: Shell, tmp_path: Path) -> None:
    for name in ("halved_trick", "other_trick"):
        lape("new", name, "--into", name)
    path = tmp_path / "other_trick" / "other_trick.py"
    path.write_text(path.read_text().replace(" / 2 for", " / 3 for"))
    test = [sys.executable, "-m", "pytest", "-q", "-rA", "halved_trick", "other_trick", "-p", "no:cacheprovider"]
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    told = subprocess.run(test, cwd=tmp_path, env=environment, capture_output=True, text=True).stdout
    assert "1 failed, 3 passed" in told, told
    assert told.count("PASSED halved_trick/test_halved_trick.py") == 2, told


@pytest.mark.parametrize("name", ["My-Trick", "1st", "class", "lape", "numpy", "random", "a/b", ""])
def test_a_name_that_cant_be(lape: Shell, tmp_path: Path, name: str) -> None:
    lape.refuses("new", name)
    assert not list(tmp_path.iterdir())


def test_nothing_is_overwritten(lape: Shell, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "mine.yaml").write_text("precious")
    assert "files that are there already" in lape.refuses("new", "mine")
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["mine.yaml"]
    assert (tmp_path / "mine" / "mine.yaml").read_text() == "precious"


def test_every_link_leads_somewhere() -> None:
    for link in re.findall(r"\]\(([^)#]+)\)", PAGE):
        assert (REPOSITORY / "docs" / link).exists(), link
