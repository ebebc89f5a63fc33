"""What is imported when: reading results needs no torch and no Ray, and the help is at once."""

from __future__ import annotations

import subprocess
import sys

import pytest

HEAVY = {"torch", "ray", "torchvision", "timm", "fvcore"}


def imported(code: str) -> set[str]:
    """The heavy packages, and those named in `code`'s own check, that some code imports."""
    program = f"{code}\nimport sys\nprint('\\n'.join(sys.modules))"
    told = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    return set(told.split())


@pytest.mark.parametrize(
    "module",
    [
        "suite.cli.commands.report",
        "suite.cli.commands.ls",
        "suite.bench.ratios",
        "suite.report.page",
        "suite.report.figures.curves",
        "suite.store.folder",
        "suite.models",
    ],
)
def test_results_are_read_without_torch_and_ray(module: str) -> None:
    assert not imported(f"import {module}") & HEAVY


def test_the_help_needs_neither_pandas_nor_pydantic() -> None:
    assert not imported("import suite.cli") & {*HEAVY, "pandas", "pydantic", "scipy", "matplotlib"}


def test_training_without_a_teacher_needs_no_timm() -> None:
    assert "timm" not in imported("import suite.train, suite.cli.commands.run, suite.train.teachers")


def test_the_public_api_is_where_the_design_says() -> None:
    code = (
        "from suite.models import create_model, load_reference; from suite.grid import load_grid;"
        "from suite.train import run_trial; from suite.store.frames import load_frame; from suite.verdict import judge"
    )
    assert "torch" in imported(code)
