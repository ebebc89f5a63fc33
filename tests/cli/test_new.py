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

from benchmarks.own_methods import ALL, CONTRADICTED, to_verdict
from suite.cli.commands.new import KINDS
from suite.grid.methods import loaded_files, unload
from suite.store.folder import Store
from tests.cli.shell import Shell
from tests.conftest import REPOSITORY

PAGE = (REPOSITORY / "docs" / "bring_your_own.md").read_text(encoding="utf-8")
SHOWN = {"method": "my_trick", "norm": "softsign", "loss": "unsure", "architecture": "mixer"}  # on the page


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


@pytest.mark.slow
@pytest.mark.parametrize("kind", ALL)
def test_each_kind_gets_from_an_empty_folder_to_a_verdict(lape: Shell, tmp_path: Path, kind: str) -> None:
    """The commands whose CPU minutes the page has."""

    def run(words: list[str]) -> str:
        out = lape(*words[1:])
        assert lape.code in ((0, CONTRADICTED) if "verify" in words else (0,)), lape.out + lape.err
        return out

    to_verdict(kind, run, tmp_path)
    page = (tmp_path / "reports" / f"my_{kind}" / "index.html").read_text(encoding="utf-8")
    assert f"my_{kind}" in page


@pytest.mark.parametrize("block", SHOWN)
def test_the_page_shows_what_is_written(lape: Shell, tmp_path: Path, block: str) -> None:
    kind, name = "join" if block == "method" else block, SHOWN[block]
    lape("new", name, "--kind", kind)
    shown = re.search(rf"<!-- {block} -->\n\n```python\n(.*?)```", PAGE, re.DOTALL)
    assert shown is not None
    method = (tmp_path / name / f"{name}.py").read_text(encoding="utf-8")
    assert method == shown[1]
    assert len(method.splitlines()) <= (60 if kind == "architecture" else 20)


def test_its_tests_pass_and_fail_when_the_formula_is_another(lape: Shell, tmp_path: Path) -> None:
    for kind in KINDS:
        lape("new", f"my_{kind}", "--kind", kind)
        lape("check", f"my_{kind}/my_{kind}.yaml", "--methods", f"my_{kind}/my_{kind}.py")
        assert f"my_{kind}.yaml: 10 trials, 0 dropped cells, 1 claim\n" in lape.out
        assert "note" not in lape.out
    lape("new", "other_trick")
    path = tmp_path / "other_trick" / "other_trick.py"
    path.write_text(path.read_text().replace(" / 2 for", " / 3 for"))
    test = [sys.executable, "-m", "pytest", "-q", "-rA", ".", "-p", "no:cacheprovider"]
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    told = subprocess.run(test, cwd=tmp_path, env=environment, capture_output=True, text=True).stdout
    assert "1 failed, 11 passed" in told, told
    assert "FAILED other_trick/test_other_trick.py::test_the_formula" in told, told


@pytest.mark.parametrize("name", ["My-Trick", "1st", "class", "lape", "suite", "numpy", "random", "a/b", ""])
def test_a_name_that_cant_be(lape: Shell, tmp_path: Path, name: str) -> None:
    lape.refuses("new", name)
    assert not list(tmp_path.iterdir())


def test_a_name_of_a_module_in_no_distribution_cant_be(
    lape: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As of a package that is installed in editable mode, whose files the distribution doesn't list."""
    (tmp_path / "elsewhere" / "edited").mkdir(parents=True)
    (tmp_path / "elsewhere" / "edited" / "__init__.py").touch()
    monkeypatch.syspath_prepend(tmp_path / "elsewhere")
    assert "the name of a Python module already" in lape.refuses("new", "edited")
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "mine").mkdir()  # a mere folder is none
    lape("new", "mine")
    assert lape.code == 0, lape.err


@pytest.mark.parametrize(
    ("name", "kind", "told"),
    [
        ("x", "joint", "unknown kind of method"),
        ("rmsnorm", "norm", "norm 'rmsnorm' is there already"),
        ("deit", "architecture", "architecture 'deit' is there already"),  # a family
        ("my_vit", "architecture", "is there already"),  # in the grid
        ("deit_tiny", "architecture", "is there already"),
    ],
)
def test_a_kind_or_a_name_of_a_kind_that_cant_be(lape: Shell, tmp_path: Path, name: str, kind: str, told: str) -> None:
    assert told in lape.refuses("new", name, "--kind", kind)
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
