"""Takes each kind of method from an empty folder to a verdict and a report, as docs/bring_your_own.md says.

`python -m benchmarks.own_methods [KIND…]` writes docs/bring_your_own.json, for all kinds or the named ones: the CPU
minutes, the commands, and the files and lines that are the user's. Everything happens in a temporary folder, with an
empty cache of data. Other programs change CPU minutes little. `python -m tests.test_pages` makes the table.
"""

from __future__ import annotations

import argparse
import datetime
import os
import re
import resource
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from benchmarks.documents import read_figures, write_figures
from suite.cli.commands.new import KINDS, method_text
from suite.store.environment import processor

FIGURES = Path(__file__).resolve().parents[1] / "docs" / "bring_your_own.json"
IMAGES = "images"  # a folder of one's own, with the joining method of the example
ALL = (*KINDS, IMAGES)
CONTRADICTED = 1  # the exit code of `lape verify` if a claim is contradicted, as an example's may be


def commands(kind: str) -> list[str]:
    """What a user types for a kind of method, or for images of one's own."""
    name = f"my_{kind}"
    method, grid = f"{name}/{name}.py", f"{name}/{name}.yaml"
    new = f"lape new {name}" if kind in ("join", IMAGES) else f"lape new {name} --kind {kind}"
    prepare = "lape data prepare my_digits --from pictures" if kind == IMAGES else "lape data prepare digits"
    return [
        new,
        prepare,
        f"lape check --methods {method}",
        f"lape run {grid} --methods {method} --executor serial",
        f"lape verify {grid} --methods {method}",
        f"lape report {grid} --methods {method}",
    ]


def write_pictures(folder: Path) -> None:
    """Write scikit-learn's digits as PNG and JPEG files: train/0/0.png, …; every fifth is a test image."""
    from PIL import Image
    from sklearn.datasets import load_digits

    found = load_digits()
    for number, (pixels, label) in enumerate(zip(found.images, found.target, strict=True)):
        place = folder / ("test" if number % 5 == 4 else "train") / str(label)
        place.mkdir(parents=True, exist_ok=True)
        picture = Image.fromarray((pixels * 255 / 16).astype("uint8"))
        picture.save(place / f"{number}.{'jpg' if number % 2 else 'png'}", quality=95)


def name_images(folder: Path, told: str) -> None:
    """Name one's own images in the grid and the claim: what the page tells the user to edit.

    told: what `lape data prepare` printed.
    """
    grid, claim = (folder / f"my_{IMAGES}" / f"my_{IMAGES}{rest}.yaml" for rest in ("", "_claim"))
    declaration = told[told.index("datasets:") :]
    grid.write_text(grid.read_text().replace("[digits]", "[my_digits]") + declaration)
    claim.write_text(claim.read_text().replace("dataset: digits", "dataset: my_digits"))


def to_verdict(kind: str, run: Callable[[list[str]], str], folder: Path) -> None:
    """Take a kind from an empty folder to a verdict and a report.

    Args:
        kind: of `ALL`.
        run: runs a command in the folder, and returns what it prints.
        folder: an empty one.
    """
    if kind == IMAGES:
        write_pictures(folder / "pictures")
    for command in commands(kind):
        told = run(shlex.split(command))
        if kind == IMAGES and "prepare" in command:
            name_images(folder, told)
        level = KINDS.get(kind, KINDS["join"]).level.replace("my_trick", f"my_{kind}")
        if "lape run" in command and not re.search(rf"{level} over \S+ .* 5$", told, re.MULTILINE):
            raise RuntimeError(f"no verdict of five pairs on {level}:\n{told}")


def measure(kind: str) -> dict[str, Any]:
    """The row of a kind. Its files and lines are counted when the table is made."""
    with tempfile.TemporaryDirectory() as name:
        environment = {**os.environ, "LAPE_DATA": str(Path(name) / "cache"), "OMP_NUM_THREADS": "1"}

        def run(words: list[str]) -> str:
            done = subprocess.run([sys.executable, "-m", "suite", *words[1:]], cwd=name, env=environment,
                                  capture_output=True, text=True)  # fmt: skip
            if done.returncode not in ((0, CONTRADICTED) if "verify" in words else (0,)):
                raise RuntimeError(f"{shlex.join(words)}: {done.stdout}{done.stderr}")
            return done.stdout

        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        to_verdict(kind, run, Path(name))
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
    seconds = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {"kind": kind, "commands": len(commands(kind)), "cpu_minutes": round(seconds / 60, 2)}


def lines(kind: str) -> int:
    """The lines of the method file of a kind; 0 where there is none to write."""
    return 0 if kind == IMAGES else len(method_text(kind).splitlines())


def main() -> None:
    """Measure what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("kinds", nargs="*", help="of " + ", ".join(ALL) + "; by default all")
    asked = parser.parse_args().kinds or ALL
    rows = {row["kind"]: row for row in read_figures(FIGURES).get("rows", [])}
    told = {"date": datetime.date.today().isoformat(), "processor": processor(), "torch": torch.__version__}
    for kind in asked:
        rows[kind] = measure(kind)
        write_figures(FIGURES, {"rows": [rows[kind] for kind in ALL if kind in rows], **told})


if __name__ == "__main__":
    main()
