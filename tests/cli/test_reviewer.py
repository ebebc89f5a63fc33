"""A reviewer's laptop: the installed wheel without torch, Ray and figures gives the same tables and verdicts."""

from __future__ import annotations

import csv
import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import REPOSITORY

PLAIN = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
GRIDS = sorted(folder.name for folder in (REPOSITORY / "results").iterdir() if (folder / "runs.jsonl").is_file())


def outputs(python: Path, folder: Path, grid: str) -> dict[str, bytes]:
    """What `lape tables`, `lape report` and `lape verify` print and write, run in an empty folder."""
    made = {}
    environment = PLAIN | ({"PYTHONPATH": str(REPOSITORY)} if python == Path(sys.executable) else {})
    for verb in ("tables", "report", "verify"):
        command = [str(python), "-m", "suite", verb, grid, "--results", str(REPOSITORY / "results")]
        command += [] if verb == "verify" else ["--reports", str(folder)]
        folder.mkdir(parents=True, exist_ok=True)
        done = subprocess.run(command, capture_output=True, cwd=folder.parent, env=environment)
        assert done.returncode in (0, 1), done.stderr.decode()
        made[f"lape {verb}"] = done.stdout.replace(str(folder).encode(), b"FOLDER")
    files = (path for path in folder.rglob("*") if path.is_file())
    return made | {str(path.relative_to(folder)): path.read_bytes() for path in files}


@pytest.mark.slow
def test_everything_regenerates_without_torch_and_ray(tmp_path: Path) -> None:
    uv = shutil.which("uv") or shutil.which("uv", path=REPOSITORY / ".uv" / "bin")
    if uv is None:
        pytest.skip("uv, which makes the other environment, isn't on the path")
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    locked = tmp_path / "requirements.txt"
    export = [uv, "export", "--frozen", "--no-dev", "--no-emit-project", "--no-hashes", "--output-file", str(locked)]
    subprocess.run(export, cwd=REPOSITORY, check=True, capture_output=True)
    subprocess.run([uv, "venv", "--python", sys.executable, str(tmp_path / "venv")], check=True, capture_output=True)
    python = tmp_path / "venv" / "bin" / "python"
    subprocess.run([uv, "pip", "install", "--python", str(python), "-r", str(locked)], check=True, capture_output=True)
    build = [uv, "build", "--wheel", "--out-dir", str(tmp_path / "dist")]
    subprocess.run(build, cwd=REPOSITORY, check=True, capture_output=True)
    (wheel,) = (tmp_path / "dist").glob("*.whl")
    install = [uv, "pip", "install", "--python", str(python), "--no-deps", str(wheel)]
    subprocess.run(install, check=True, capture_output=True)
    listed = subprocess.run([uv, "pip", "list", "--python", str(python)], check=True, capture_output=True, text=True)
    installed = {line.split()[0] for line in listed.stdout.splitlines()[2:]}
    assert {"lape-suite", "scipy"} <= installed
    assert not {"torch", "torchvision", "timm", "fvcore", "ray", "matplotlib", "pandas", "pyarrow"} & installed
    assert len(installed) >= len(project["dependencies"])
    assert GRIDS
    for grid in GRIDS:
        here = outputs(Path(sys.executable), tmp_path / "here" / grid, grid)
        there = outputs(python, tmp_path / "there" / grid, grid)
        drawn = {name for name in here if "/figures/" in name}
        assert drawn
        reached = {name for name in here if name.startswith(f"{grid}/tables/reach_")}  # they are of the curves alone
        assert here.keys() - drawn - reached == there.keys()
        differ = {name for name, content in there.items() if here[name] != content}
        assert f"{grid}/index.html" in differ
        tables = {name for name in differ if name.endswith(".csv")}
        for name in tables:
            assert_only_left_out(here[name], there[name])
        rendered = {name.removesuffix("csv") + kind for name in tables for kind in ("csv", "md", "tex", "html")}
        verdicts = f"{grid}/verdicts.json"
        printed = {"lape verify", "lape tables"} if reached else {"lape verify"}
        assert differ <= {f"{grid}/index.html", verdicts} | printed | rendered
        lines = iter(here["lape tables"].splitlines())
        assert all(line in lines for line in there["lape tables"].splitlines())  # the same, with some left out
        assert without_curves(here[verdicts]) == json.loads(there[verdicts])
        assert without_caveats(here["lape verify"]) == without_caveats(there["lape verify"])


def assert_only_left_out(whole: bytes, partial: bytes) -> None:
    """Two tables in CSV are the same but for columns of numbers that the second leaves empty."""
    (heads, *rows), (other_heads, *others) = (list(csv.reader(text.decode().splitlines())) for text in (whole, partial))
    assert heads == other_heads
    assert len(rows) == len(others)
    empty = {place for place in range(len(heads)) if not any(row[place] for row in others)}
    assert empty
    for row, other in zip(rows, others, strict=True):
        assert [cell for place, cell in enumerate(row) if place not in empty] == [
            cell for place, cell in enumerate(other) if place not in empty
        ]


def without_curves(verdicts: bytes) -> list[dict[str, Any]]:
    """Verdicts as they are where the training curves can't be read."""
    found: list[dict[str, Any]] = json.loads(verdicts)
    for verdict in found:
        verdict["caveats"] = [caveat for caveat in verdict["caveats"] if not caveat.startswith("not converged: ")]
        if verdict["evidence"] is not None:
            verdict["evidence"] |= {"baseline_last_tenth": None, "treatment_last_tenth": None}
    return found


def without_caveats(printed: bytes) -> bytes:
    """What `lape verify` prints, without the number of caveats."""
    return re.sub(rb"( says why), with \d+ caveats?", rb"\1", printed)
