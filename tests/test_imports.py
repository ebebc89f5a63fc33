"""What is imported when: reading results needs no torch and no Ray, and the help is at once."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.conftest import REPOSITORY
from tests.structure import WINGS

HEAVY = {"torch", "ray", "torchvision", "timm", "fvcore"}
ANALYSIS = {"matplotlib", "numpy", "pandas", "pyarrow", "scipy", "statsmodels"}


def imported(code: str) -> set[str]:
    """The modules that a new process has imported after it has run this code."""
    program = f"{code}\nimport sys\nprint('\\nMODULES', *sys.modules)"
    told = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False, cwd=REPOSITORY
    )  # fmt: skip
    assert told.returncode == 0, told.stderr
    return set(told.stdout.rpartition("\nMODULES")[2].split())


def command(*arguments: str) -> str:
    """Code that runs `lape` with these arguments; it must succeed."""
    return (
        f"import sys; sys.argv = {['lape', *arguments]!r}\n"
        "from suite.cli import main\n"
        "try:\n    main()\nexcept SystemExit as end:\n    assert not end.code, end.code"
    )


@pytest.fixture(scope="module")
def of_wings() -> dict[str, set[str]]:
    """What each wing is the first to import, in one process: a package that two import is told of the first."""
    looks = "".join(
        f"import suite.{wing}\nprint('WING', *set(sys.modules) - seen)\nseen |= set(sys.modules)\n" for wing in WINGS
    )
    told = subprocess.run(
        [sys.executable, "-c", f"import sys\nseen = set(sys.modules)\n{looks}"],
        capture_output=True, text=True, check=True, cwd=REPOSITORY,
    )  # fmt: skip
    return {wing: set(line.split()[1:]) for wing, line in zip(WINGS, told.stdout.splitlines(), strict=True)}


@pytest.mark.parametrize("wing", WINGS)
def test_a_wing_imports_nothing_before_it_is_used(wing: str, of_wings: dict[str, set[str]]) -> None:
    """Its face names what others may use, each imported at its first use."""
    packages = {name.partition(".")[0] for name in of_wings[wing]}
    foreign = packages - sys.stdlib_module_names - {"suite"}
    assert f"suite.{wing}" in of_wings[wing]
    assert not foreign & {*HEAVY, *ANALYSIS, "pydantic", "fsspec", "jinja2"}
    assert wing == "cli" or not foreign  # the command line is made of typer


def test_results_are_read_without_torch_and_ray() -> None:
    """Looked at after each import, so that the message names the module."""
    modules = (
        "suite.store.folder",
        "suite.run.status",
        "suite.bench.ratios",
        "suite.report.figures.curves",
        "suite.report.page",
        "suite.cli.commands.ls",
        "suite.cli.commands.report",
    )
    looks = (f"import {name}\nassert not {HEAVY!r} & set(sys.modules), {name!r}" for name in modules)
    assert not imported("\n".join(("import sys", *looks))) & HEAVY


@pytest.mark.parametrize(
    ("arguments", "unused"),
    [
        (("--help",), {*HEAVY, *ANALYSIS, "pydantic", "rich.progress"}),
        (("ls", "archs"), {*HEAVY, *ANALYSIS}),
        (("ls", "grids"), {*HEAVY, *ANALYSIS}),
        (("status", "cifar_subset"), {*HEAVY, *ANALYSIS}),
        (("plan", "cifar_subset"), {*HEAVY, "matplotlib"}),
        (("verify", "cifar_subset"), {*HEAVY, "matplotlib"}),
    ],
)
def test_a_reading_command_imports_only_what_it_needs(arguments: tuple[str, ...], unused: set[str]) -> None:
    assert not imported(command(*arguments)) & unused


def test_the_public_names_are_where_the_design_says() -> None:
    from suite.grid import load_grid
    from suite.models import apply_join, create_model, load_reference, read_state
    from suite.store import load_frame
    from suite.train import run_trial
    from suite.verdict import judge

    public = (load_grid, apply_join, create_model, load_reference, read_state, load_frame, run_trial, judge)
    assert all(callable(name) for name in public)
