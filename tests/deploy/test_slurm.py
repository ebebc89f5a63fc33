"""The scripts for Slurm: shellcheck finds nothing, and what they run is a command that there is."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import REPOSITORY
from tests.deploy.commands import parse_lape

SCRIPTS = sorted((REPOSITORY / "deploy" / "slurm").glob("*.sbatch"))
# All of its checks but the one that wants braces around every variable.
SHELLCHECK = [str(Path(sys.executable).with_name("shellcheck")), "--enable=all", "--exclude=SC2250"]


def test_there_is_one_for_whole_nodes_and_one_for_shared_ones() -> None:
    assert [path.stem for path in SCRIPTS] == ["shared_nodes", "whole_nodes"]


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.stem)
@pytest.mark.parametrize("checker", [["bash", "-n"], SHELLCHECK], ids=["bash", "shellcheck"])
def test_shell_and_shellcheck_take_it(path: Path, checker: list[str]) -> None:
    checked = subprocess.run([*checker, path], capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stdout + checked.stderr


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.stem)
def test_it_runs_a_command_that_there_is(path: Path) -> None:
    (command,) = re.findall(r"^\s*(lape run .*)$", path.read_text(), re.MULTILINE)
    values = parse_lape(shlex.split(command))
    assert values["grid"] == "$GRID"
    assert values["address"] in ("auto", "$address:$port")


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.stem)
def test_it_stops_no_ray_of_others(path: Path) -> None:
    """`ray stop` and `ray symmetric-run` stop every Ray on a node, whosever it is."""
    script = re.sub(r"#(?!SBATCH).*", "", path.read_text())
    assert "ray stop" not in script
    assert ("symmetric-run" in script) == ("--exclusive" in script)
