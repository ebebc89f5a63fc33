"""The scripts for Slurm: shellcheck finds nothing, and what they run is a command that there is."""

from __future__ import annotations

import os
import random
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
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


@dataclass
class Slurm:
    """A stand-in for Slurm's two commands that the scripts call: all nodes are this machine."""

    folder: Path
    environment: dict[str, str]

    def run(self, script: str, nodes: int, *before: str) -> subprocess.CompletedProcess[str]:
        names = "\n".join(["localhost"] * nodes)
        (self.folder / "bin" / "scontrol").write_text(f"#!/bin/bash\necho '{names}'\n")
        environment = {**self.environment, "SLURM_JOB_NUM_NODES": str(nodes)}
        path = REPOSITORY / "deploy" / "slurm" / f"{script}.sbatch"
        command = [*before, "bash", str(path)]
        return subprocess.run(
            command, cwd=self.folder, env=environment, capture_output=True, text=True, timeout=280, check=False
        )


@pytest.fixture
def slurm(tmp_path: Path, data_folder: Path, write_grid: Callable[..., Path]) -> Iterator[Slurm]:
    (tmp_path / "bin").mkdir()
    # What srun does but the placing: run the command that follows its options, in the job's environment.
    srun = """#!/bin/bash
        while [[ $1 == --* ]]; do shift; done
        [[ $1 == hostname ]] && echo 127.0.0.1 && exit
        exec "$@"
    """
    for name, text in {"srun": srun, "scontrol": ""}.items():
        (tmp_path / "bin" / name).write_text(text)
        (tmp_path / "bin" / name).chmod(0o755)
    (tmp_path / ".venv").symlink_to(sys.prefix)
    job = 1_000_000 + random.randrange(10_000)
    yield Slurm(
        tmp_path,
        {
            **os.environ,
            "PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}",
            "HOME": str(tmp_path),
            "GRID": str(write_grid()),
            "LAPE_DATA": str(data_folder),
            "SLURM_CPUS_PER_TASK": "1",
            "SLURM_JOB_ID": str(job),
            "SLURM_JOB_NODELIST": "node[0-1]",
            "SLURM_SUBMIT_DIR": str(tmp_path),
        },
    )
    shutil.rmtree(f"/tmp/ray-{job}", ignore_errors=True)


def check_complete(folder: Path, ended: subprocess.CompletedProcess[str]) -> None:
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "4/4 done" in ended.stdout
    assert len((folder / "results" / "small" / "runs.jsonl").read_text().splitlines()) == 4


@pytest.mark.ray
@pytest.mark.slow
def test_on_parts_of_two_nodes_the_grid_is_run(slurm: Slurm) -> None:
    ended = slurm.run("shared_nodes", 2)
    check_complete(slurm.folder, ended)


@pytest.mark.ray
@pytest.mark.slow
def test_on_a_whole_node_the_grid_is_run(slurm: Slurm) -> None:
    """In a space of processes of its own, since `ray symmetric-run` ends all Ray that it sees."""
    alone = ["unshare", "--pid", "--fork", "--mount-proc"]
    if subprocess.run([*alone, "true"], capture_output=True, check=False).returncode:
        pytest.skip("it takes root to have a space of processes of one's own")
    slurm.environment["RAY_TMPDIR"] = f"/tmp/ray-{slurm.environment['SLURM_JOB_ID']}"
    check_complete(slurm.folder, slurm.run("whole_nodes", 1, *alone))
