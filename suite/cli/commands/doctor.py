"""`lape doctor`: what this machine has for the suite, and what to do about the rest. It names no host and no user."""

from __future__ import annotations

import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Literal

from rich.text import Text

from suite.cli.answers.answer import json_text
from suite.cli.answers.doctor import DoctorAnswer, DoctorPart
from suite.cli.commands.console import open_console
from suite.cli.extras import EXTRAS, is_installed
from suite.cores import usable_cores
from suite.data.cache import open_root
from suite.data.inventory import list_prepared
from suite.errors import InputError
from suite.store.environment import describe, processor
from suite.text import say

_STYLES = {"ok": "green", "note": "yellow", "problem": "bold red"}
_DISTRIBUTIONS = {
    "PIL": "pillow",
    "sklearn": "scikit-learn",
    "imagecorruptions": "imagecorruptions-imaug",
}  # by import name
_LITTLE_DISK, _LITTLE_SHARED_MEMORY = 10e9, 200e6  # bytes
_PROBE = ("-m", "suite.run.ray.probe")
_LONGEST_START = 300  # seconds that Ray may take to start


def print_doctor(data: Path | None, *, quick: bool, as_json: bool) -> None:
    """Look at this machine, and print a line for each thing.

    Args:
        data: the folder of the prepared data sets; None: the default.
        quick: leave out what takes seconds: starting Ray, and measuring matrix products.
        as_json: print JSON instead.
    """
    parts = []
    console = open_console()
    for part in _parts(data, quick=quick):
        parts.append(part)
        if not as_json:
            name = Text(f"{part.name:<18}", style="bold")
            console.print(Text.assemble((f"{part.state:<8}", _STYLES[part.state]), name, part.found), soft_wrap=True)
            if part.fix:
                console.print(Text(f"{'':<26}what to do: {part.fix}"), soft_wrap=True)
    if as_json:
        say(json_text(DoctorAnswer(parts=parts), indent=1))


def _parts(data: Path | None, *, quick: bool) -> Iterator[DoctorPart]:
    yield from _software()
    yield from _data(data)
    yield from _disk(data)
    yield from _ray(quick)
    yield from _torch(quick)


def _part(name: str, state: Literal["ok", "note", "problem"], found: str, fix: str = "") -> DoctorPart:
    return DoctorPart(name=name, state=state, found=found, fix=fix)


def _software() -> Iterator[DoctorPart]:
    here = describe("", "cpu", "fp32", 1)
    if here.commit is None:
        yield _part("suite", "ok", f"{here.suite}, installed as a package")
    elif here.commit.endswith("+dirty"):
        fix = "commit the changes before runs that others should be able to repeat"
        yield _part("suite", "note", f"{here.suite}, commit {here.commit[:12]} with changes that aren't committed", fix)
    else:
        yield _part("suite", "ok", f"{here.suite}, commit {here.commit[:12]}")
    yield _part("system", "ok", f"Python {platform.python_version()}, {platform.system()} {platform.release()}")
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    cores = usable_cores()
    yield _part("machine", "ok", f"{processor()}, {cores} cores for this process, {memory / 1e9:.0f} GB of memory")
    for extra, packages in EXTRAS.items():
        found = {name: _version(name) for name in packages}
        there = ", ".join(f"{name} {number}" for name, number in found.items() if number)
        if missing := [name for name, number in found.items() if not number]:
            told = f"without {', '.join(missing)}" + (f"; {there}" if there else "")
            yield _part(f"extra {extra}", "note", told, f"pip install 'lape-suite[{extra}]', if you need it")
        else:
            yield _part(f"extra {extra}", "ok", there)


def _version(package: str) -> str:
    """The version of an installed package, by its import name; empty if it isn't installed."""
    if not is_installed(package):
        return ""
    try:
        return version(_DISTRIBUTIONS.get(package, package))
    except PackageNotFoundError:
        return "of unknown version"


def _data(folder: Path | None) -> Iterator[DoctorPart]:
    try:
        entries = list_prepared(open_root(folder))
    except InputError as error:
        problem = error.problems[0]
        yield _part("data", "problem", problem.what, problem.fix)
        return
    names = [entry.name for entry in entries if entry.prepared]
    damaged = [entry.name for entry in entries if entry.damaged]
    if names:
        yield _part("data", "ok", f"prepared: {', '.join(names)}")
    if damaged:  # without their folders, which may name the user
        fix = "`lape data ls` says what is wrong, and what to do"
        yield _part("data", "problem", f"damaged or incomplete: {', '.join(damaged)}", fix)
    if not names and not damaged:
        fix = "lape data prepare digits, for the quickstart; `lape data ls` lists the others"
        yield _part("data", "note", "nothing is prepared", fix)


def _disk(data: Path | None) -> Iterator[DoctorPart]:
    places = {"the working folder": Path.cwd(), "the temporary folder": Path(tempfile.gettempdir())}
    with suppress(InputError):  # `_data` has told it
        places["the data folder"] = open_root(data)
    for name, place in places.items():
        while not place.exists():  # the data folder is made when the first data set is
            place = place.parent
        free = shutil.disk_usage(place).free
        little = free < _LITTLE_DISK
        fix = "free some space: snapshots and data sets take gigabytes" if little else ""
        yield _part("disk", "note" if little else "ok", f"{free / 1e9:.0f} GB free in {name}", fix)


def _ray(quick: bool) -> Iterator[DoctorPart]:
    if not is_installed("ray"):
        fix = "pip install 'lape-suite[ray]' to run trials side by side; --executor serial works without it"
        yield _part("Ray", "note", "not installed", fix)
        return
    shared = Path("/dev/shm")  # noqa: S108 -- where Ray keeps its objects
    if shared.is_dir() and (free := shutil.disk_usage(shared).free) < _LITTLE_SHARED_MEMORY:
        fix = "give more shared memory, for instance `docker run --shm-size=1g`"
        yield _part("shared memory", "problem", f"{free / 1e6:.0f} MB free", fix)
    if quick:
        return
    try:
        probe = [sys.executable, *_PROBE]
        ended = subprocess.run(probe, capture_output=True, text=True, timeout=_LONGEST_START, check=False)
        told = json.loads(ended.stdout.splitlines()[-1]) if ended.returncode == 0 else None
    except (subprocess.TimeoutExpired, ValueError, IndexError):
        told = None
    if told is None:
        fix = "`lape run quickstart --limit 1` tells the cause; --executor serial works without Ray"
        yield _part("Ray", "problem", "doesn't start on this machine", fix)
    elif told["ports_everywhere"]:
        found = f"starts, but listens on {told['ports_everywhere']} ports that other machines can reach"
        yield _part("Ray", "problem", found, "run on a network that you trust, or with --executor serial")
    else:
        ports = told["ports_here"]
        yield _part("Ray", "ok", f"starts in {told['seconds']:.0f} s; listens on {ports} ports of 127.0.0.1 alone")


def _torch(quick: bool) -> Iterator[DoctorPart]:
    if not is_installed("torch"):
        fix = "pip install 'lape-suite[train]' to train; tables, verdicts and reports work without it"
        yield _part("GPU", "note", "not looked for, since torch isn't installed", fix)
        return
    import torch

    from suite.bench.half_precision import bf16_speed

    if torch.cuda.is_available():
        names = [torch.cuda.get_device_name(number) for number in range(torch.cuda.device_count())]
        memory = torch.cuda.get_device_properties(0).total_memory
        yield _part("GPU", "ok", f"{', '.join(names)}; {memory / 1e9:.0f} GB on the first; CUDA {torch.version.cuda}")
    else:
        yield _part("GPU", "note", "none that torch can use", "trials train on the CPU; of a GPU, check its driver")
    if quick:
        return
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    threads = usable_cores()
    ratio, half = bf16_speed(device, threads)
    told = f"a matrix product in bf16 is {ratio:.2g} times as fast as in fp32 ({half / 1e9:,.0f} GFLOP/s)"
    faster = ratio > 1.2
    fix = (
        ""
        if device.type == "cuda"
        else "`--set recipe.precision=bf16` may pay"
        if faster
        else "keep recipe.precision: fp32"
    )
    yield _part("precision", "ok" if faster or device.type == "cpu" else "note", told, fix)
