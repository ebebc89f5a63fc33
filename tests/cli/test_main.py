"""How commands end: one message for bad input, and exit codes that mean one thing each."""

from __future__ import annotations

import ast
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from suite.cli import main
from suite.cli.main import EXTRAS, INTERNAL
from suite.store.folder import RUNS
from tests.conftest import REPOSITORY

TRAIN = ("torch", "torchvision", "timm", "fvcore", "safetensors", "sklearn", "fsspec")
WITHOUT = """
import sys

class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {packages!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Absent())
from suite.cli import main
main()
"""


def lape_without(packages: tuple[str, ...], *arguments: str) -> subprocess.CompletedProcess[str]:
    """The command in a process that can't import some packages."""
    program = WITHOUT.format(packages=packages)
    command = [sys.executable, "-c", program, *arguments]
    return subprocess.run(command, capture_output=True, text=True, cwd=REPOSITORY, timeout=120)


@pytest.mark.parametrize(
    "command",
    [
        ("verify", "--static"),
        ("cost", "--arch", "deit_tiny"),
        ("bench", "--arch", "deit_tiny"),
        ("bench", "--throughput"),
        ("inspect", "nowhere.safetensors"),
        ("rerun", "96e26620", "--grid", "table7_budget"),
        ("plan", "quickstart", "--calibrate"),
        ("run", "quickstart", "--executor", "serial"),
        ("data", "prepare", "digits"),
    ],
)
def test_without_torch_a_command_names_the_extra(
    command: tuple[str, ...], data_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    there = tmp_path if command[0] == "data" else data_folder
    monkeypatch.setenv("LAPE_DATA", str(there))
    results = ("--results", str(tmp_path)) if command[0] in ("run", "plan") else ()
    ended = lape_without(TRAIN, *command, *results)
    assert ended.returncode == 2, ended.stderr
    assert "Traceback" not in ended.stderr
    assert ended.stderr.count("isn't installed, and this command needs it") == 1
    assert "pip install 'lape-suite[train]' (in a checkout: uv sync --extra train)" in ended.stderr
    assert f"where:      lape {command[0]}" in ended.stderr


def test_without_ray_a_run_names_the_extra_and_the_way_around(
    data_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LAPE_DATA", str(data_folder))
    ended = lape_without(("ray",), "run", "quickstart", "--results", str(tmp_path))
    assert ended.returncode == 2, ended.stderr
    assert "Traceback" not in ended.stderr
    assert "pip install 'lape-suite[ray]'" in ended.stderr
    assert "--executor serial" in ended.stderr
    assert not list(tmp_path.rglob(RUNS))


@pytest.mark.parametrize("command", [("status",), ("tables", "--reports", "{}"), ("verify",)])
def test_results_are_shown_without_torch_and_ray(command: tuple[str, ...], tmp_path: Path) -> None:
    arguments = [part.format(tmp_path) for part in command]
    ended = lape_without((*TRAIN, "ray"), arguments[0], "combined", *arguments[1:])
    assert ended.returncode == 0, ended.stderr


def test_the_extras_are_those_of_the_project() -> None:
    names = {"PIL": "pillow", "sklearn": "scikit-learn"}
    declared = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    for extra, packages in EXTRAS.items():
        own = [package for package in declared[extra] if not package.startswith("lape-suite[")]
        required = " ".join(own)
        assert len(packages) == len(own)
        assert all(names.get(package, package) in required for package in packages)


@pytest.mark.parametrize(
    ("error", "code", "told"),
    [
        (ZeroDivisionError("boom\x1b[2J"), INTERNAL, "ZeroDivisionError"),
        (ModuleNotFoundError("No module named 'unheard_of'", name="unheard_of"), INTERNAL, "Traceback"),
        (ModuleNotFoundError("No module named 'torch.x'", name="torch.x"), 2, "torch isn't installed"),
    ],
)
def test_a_fault_of_the_suite_does_not_end_like_a_contradicted_claim(
    error: Exception, code: int, told: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail() -> None:
        raise error

    monkeypatch.setitem(main.__globals__, "app", fail)  # the package has its function under the module's name
    with pytest.raises(SystemExit) as stop:
        main()
    err = capsys.readouterr().err
    assert stop.value.code == code
    assert told in err
    assert "\x1b" not in err


PRINTING = ("print", "typer.echo", "Console", "csv.writer", "csv.DictWriter", "sys.stdout.write")
LAST = {"to_csv", *(name.rpartition(".")[2] for name in PRINTING)}


def printing(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and getattr(node.func, "attr", getattr(node.func, "id", "")) in LAST:
            name = ast.unparse(node.func)
            pandas_csv = name.endswith(".to_csv") and node.keywords  # a table's own function takes none
            if pandas_csv or name in PRINTING:
                yield f"line {node.lineno}: {name}"


# Not output of a command: a program that Ray starts, the last words of a process that ends, a module of its own.
ELSEWHERE = {"suite/text.py", "suite/run/ray/lifeline.py", "suite/run/ray/watchdog.py", "suite/models/timm_models.py"}


def test_what_is_printed_goes_through_one_place() -> None:
    """Where characters that steer a terminal, and formulas of spreadsheets, are taken out."""
    found = [
        f"{where}, {one}"
        for path in sorted((REPOSITORY / "suite").rglob("*.py"))
        if (where := str(path.relative_to(REPOSITORY))) not in ELSEWHERE
        for one in printing(ast.parse(path.read_text(encoding="utf-8")))
    ]
    assert not found
