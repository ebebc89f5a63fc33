"""How commands end: one message for bad input, and exit codes that mean one thing each."""

from __future__ import annotations

import ast
import json
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
import json, sys

class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {packages!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Absent())
sys.stdout = sys.stderr
from suite.cli import main
for arguments in json.loads(sys.argv[1]):
    sys.argv = ["lape", *arguments]
    try:
        main()
    except SystemExit as end:
        print(f"{{end.code or 0}} END OF COMMAND", file=sys.stderr, flush=True)
"""
Ended = tuple[int, str]  # the exit code and what was printed


def lape_without(packages: tuple[str, ...], *commands: tuple[str, ...]) -> dict[tuple[str, ...], Ended]:
    """How commands end in a process that can't import some packages. One process for all: each would take a second."""
    process = [sys.executable, "-c", WITHOUT.format(packages=packages), json.dumps(commands)]
    told = subprocess.run(process, capture_output=True, text=True, cwd=REPOSITORY, timeout=120).stderr
    *parts, rest = told.split(" END OF COMMAND\n")
    assert (len(parts), rest) == (len(commands), ""), told
    split = [part.rpartition("\n") for part in parts]
    return {command: (int(code), text) for command, (text, _, code) in zip(commands, split, strict=True)}


TRAINING = [
    ("verify", "--static"),
    ("cost", "--arch", "deit_tiny"),
    ("bench", "--arch", "deit_tiny"),
    ("bench", "--throughput"),
    ("inspect", "nowhere.safetensors"),
    ("rerun", "96e26620", "--grid", "table7_budget"),
    ("plan", "quickstart", "--calibrate", "--results", "{}"),
    ("run", "quickstart", "--executor", "serial", "--results", "{}"),
    ("data", "prepare", "digits", "--data", "{}"),
]
READING = [("status", "combined"), ("tables", "combined", "--reports", "{}"), ("verify", "combined")]


def all_without(packages: tuple[str, ...], commands: list[tuple[str, ...]], folder: Path) -> list[Ended]:
    """How commands end, whose {} is a folder."""
    return list(lape_without(packages, *(tuple(part.format(folder) for part in one) for one in commands)).values())


@pytest.fixture(scope="module")
def without_torch(data_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Ended]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LAPE_DATA", str(data_folder))
        return all_without(TRAIN, TRAINING, tmp_path_factory.mktemp("without"))


@pytest.fixture(scope="module")
def without_ray_too(tmp_path_factory: pytest.TempPathFactory) -> list[Ended]:
    return all_without((*TRAIN, "ray"), READING, tmp_path_factory.mktemp("without"))


@pytest.mark.parametrize("number", range(len(TRAINING)), ids=lambda number: "-".join(TRAINING[number]))
def test_without_torch_a_command_names_the_extra(number: int, without_torch: list[Ended]) -> None:
    code, told = without_torch[number]
    assert code == 2, told
    assert "Traceback" not in told
    assert told.count("isn't installed, and this command needs it") == 1
    assert "pip install 'lape-suite[train]' (in a checkout: uv sync --extra train)" in told
    assert f"where:      lape {TRAINING[number][0]}" in told


def test_without_ray_a_run_names_the_extra_and_the_way_around(
    data_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LAPE_DATA", str(data_folder))
    ((code, told),) = lape_without(("ray",), ("run", "quickstart", "--results", str(tmp_path))).values()
    assert code == 2, told
    assert "Traceback" not in told
    assert "pip install 'lape-suite[ray]'" in told
    assert "--executor serial" in told
    assert not list(tmp_path.rglob(RUNS))


@pytest.mark.parametrize("number", range(len(READING)), ids=lambda number: READING[number][0])
def test_results_are_shown_without_torch_and_ray(number: int, without_ray_too: list[Ended]) -> None:
    code, told = without_ray_too[number]
    assert code == 0, told


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


OUTCOMES = {("verify", "nope"): 2, ("verify", "--nonsense"): 2, ("ls", "joins"): 0}


@pytest.mark.parametrize("streams", ["2>/dev/full", "2>&-", ">&-", ">&- 2>&-", "<&- >&- 2>/dev/full"])
def test_an_output_that_is_closed_or_full_does_not_change_the_exit_code(streams: str) -> None:
    """In particular not into 1, a contradicted claim. A full standard output is told, with 2."""
    for arguments, code in OUTCOMES.items():
        command = ["sh", "-c", f'"$@" {streams}', "sh", sys.executable, "-m", "suite", *arguments]
        ended = subprocess.run(command, capture_output=True, text=True, cwd=REPOSITORY, timeout=120, check=False)
        assert ended.returncode == code, ended.stderr
        assert "Traceback" not in ended.stderr
        assert "error" not in ended.stdout  # with no standard error, it isn't what is printed


# As Ctrl-C while a module is imported. Entry points: `python -m suite`, and what the script `lape` runs.
DURING_IMPORTS = """
import sys

class Interrupting:
    def find_spec(self, name, path=None, target=None):
        if name == {module!r}:
            raise KeyboardInterrupt

sys.meta_path.insert(0, Interrupting())
sys.argv = ["lape", "ls", "joins"]
{entry}
"""
ENTRIES = {
    "module": "import runpy; runpy.run_module('suite', run_name='__main__', alter_sys=True)",
    "script": "from suite.cli import main; sys.exit(main())",
}


@pytest.mark.parametrize("entry", ENTRIES)
@pytest.mark.parametrize("module", ["typer", "suite.errors", "suite.cli.declarations.data", "suite.cli.commands.ls"])
def test_an_interrupt_while_modules_are_imported_ends_without_a_traceback(entry: str, module: str) -> None:
    program = DURING_IMPORTS.format(module=module, entry=ENTRIES[entry])
    process = [sys.executable, "-c", program]
    ended = subprocess.run(process, capture_output=True, text=True, cwd=REPOSITORY, timeout=120, check=False)
    assert ended.returncode == 130, ended.stderr
    assert "Traceback" not in ended.stderr
    assert ended.stdout == ""


@pytest.mark.parametrize(
    ("command", "told"),
    [
        ("run quickstart", "stopped; finished trials are stored, and the same command resumes from there"),
        ("try lape --hours 1", "stopped; finished trials are stored, and the same command resumes from there"),
        ("rerun 1234", "stopped; nothing was stored"),
        (
            "data prepare digits",
            "stopped; what was prepared before is unchanged, and the same command prepares the rest",
        ),
        ("report quickstart", "stopped; the results are unchanged, and the same command writes the whole report"),
        ("merge a b c", "stopped; the sources are unchanged, and the same command merges the rest"),
        ("data ls", "stopped"),
        ("plan quickstart", "stopped"),
        ("", "stopped"),
    ],
)
@pytest.mark.parametrize("raised", [KeyboardInterrupt, SystemExit])  # before typer handles it, and by typer
def test_an_interrupted_command_says_what_is_kept(
    command: str,
    told: str,
    raised: type[BaseException],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def interrupted() -> None:
        raise raised(130)

    monkeypatch.setattr(sys, "argv", ["lape", *command.split()])
    monkeypatch.setitem(main.__globals__, "app", interrupted)
    with pytest.raises(SystemExit) as stop:
        main()
    assert stop.value.code == 130
    assert capsys.readouterr().err == f"{told}\n"
