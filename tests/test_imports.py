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
def bare() -> set[str]:
    """What Python imports for itself, with whatever this environment adds to its start."""
    return imported("")


@pytest.mark.parametrize("wing", WINGS)
def test_a_wing_imports_nothing_before_it_is_used(wing: str, bare: set[str]) -> None:
    """Its face names what others may use, each imported at its first use."""
    packages = {name.partition(".")[0] for name in imported(f"import suite.{wing}") - bare}
    foreign = packages - sys.stdlib_module_names - {"suite"}
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


def test_training_without_a_teacher_needs_no_timm_and_the_public_api_is_where_the_design_says() -> None:
    code = (
        "import suite.train.trials, suite.cli.commands.run, suite.train.teachers, sys\n"
        "assert 'timm' not in sys.modules\n"
        "from suite.models import create_model, apply_join, load_reference, read_state\n"
        "from suite.grid import load_grid\nfrom suite.train import run_trial\n"
        "from suite.store import load_frame\nfrom suite.verdict import judge"
    )
    assert "torch" in imported(code)
