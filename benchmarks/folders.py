"""Images per second of reading and augmenting a folder of photographs, and of preparing it.

Our input pipeline with either resizer is interleaved with timm's loader at its fastest setting, as in
`lape bench --throughput`, on JPEG files of 500x375 pixels with DeiT's recipe. That recipe takes each image three times
in a row, so we measure it once as it is, and once with `repeats: 1`. timm's loader repeats images in distributed
training alone, and would read and decode a file again for each copy.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from benchmarks.documents import markdown
from benchmarks.photographs import SIZE, write_photographs
from suite.bench.ratios import paired_ratio, quartiles
from suite.bench.throughput.crowd import Crowd
from suite.bench.throughput.turns import LoopSetting, Turn
from suite.bench.throughput.workload import Workload
from suite.cli.commands.throughput import LABELS, rate_text, ratio_text
from suite.cores import usable_cores
from suite.data.cache import load_meta
from suite.grid.documents import load_document
from suite.grid.recipe import Recipe
from suite.models.architectures import resolve_architecture
from suite.models.model_cell import ModelCell, Shape
from suite.store.environment import describe

RESIZERS = ("pillow", "torch")
REPEATS = {3: "each image three times", 1: "each image once"}
OURS = {f"{resizer}, {repeats}": (resizer, repeats) for repeats in REPEATS for resizer in RESIZERS}
SIDES = (*OURS, "timm")
FIGURES = ("pipeline", "pipeline_per_core")
PIXELS, BATCH = 224, 128
TRAIN, VAL = 2048, 64  # images
BATCHES = 4  # of a turn: as many as our pipeline augments together
ROUNDS = 6
_NAME = "photographs"


def measure(train: int = TRAIN, rounds: int = ROUNDS) -> dict[str, Any]:
    """Measure preparation and input pipelines on the CPU, and return all figures as JSON values.

    Args:
        train: training images to make.
        rounds: interleaved rounds.
    """
    load = os.getloadavg()[0]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        size = write_photographs(folder / "images", train, VAL)
        prepared = [_prepare(folder, count, train + VAL) for count in range(1, usable_cores() + 1)]
        told = _pipelines(folder / f"cache{usable_cores()}", rounds)
    environment = describe(torch.__version__, "cpu", "fp32", usable_cores()).model_dump()
    return {
        "environment": {**environment, "cores": usable_cores(), "load_before": load},
        "data": {"images": train, "width": SIZE[0], "height": SIZE[1], "bytes": size},
        "prepare": prepared,
        **told,
    }


def _prepare(folder: Path, count: int, images: int) -> dict[str, float]:
    """Time the complete command `lape data prepare` on so many cores."""
    command = [sys.executable, "-m", "suite", "data", "prepare", _NAME, "--from", str(folder / "images")]
    command += ["--image-size", str(PIXELS), "--storage", "folder", "--data", str(folder / f"cache{count}")]
    usable = os.sched_getaffinity(0)
    os.sched_setaffinity(0, sorted(usable)[:count])  # the child's, too
    try:
        began = time.perf_counter()
        subprocess.run(command, check=True, capture_output=True)
        seconds = time.perf_counter() - began
    finally:
        os.sched_setaffinity(0, usable)
    return {"cores": count, "seconds": seconds, "images_per_second": images / seconds}


def workload(root: Path, resizer: str = "pillow", repeats: int = 1) -> Workload:
    """Return DeiT's recipe with this resizer, and so many repeats, on the prepared photographs."""
    meta = load_meta(_NAME, root)
    assert meta is not None
    recipe = load_document(Path("grids/recipes/deit.yaml"), Recipe)
    recipe = recipe.model_copy(update={"batch_size": BATCH, "resizer": resizer, "repeats": repeats})
    shape = Shape(meta.dataset.num_classes, PIXELS, 3)
    cell = ModelCell(resolve_architecture("deit_tiny"), "learnable", "default", "ln", shape)
    return Workload(cell, recipe, meta.dataset, root, torch.device("cpu"))


def _pipelines(root: Path, rounds: int) -> dict[str, Any]:
    with ExitStack() as stack:
        crowds = {
            side: stack.enter_context(
                Crowd("ours", workload(root, *OURS[side]), 1) if side in OURS else Crowd("timm", workload(root), 1)
            )
            for side in SIDES
        }

        def turn(side: str, setting: LoopSetting) -> Turn:
            return crowds[side].turn("pipeline", setting, BATCHES)

        settings = [LoopSetting(usable_cores(), workers, ahead) for workers in range(3) for ahead in (False, True)]
        tried = [(setting, turn("timm", setting)) for setting in settings]
        threads = {figure: usable_cores() if figure == "pipeline" else 1 for figure in FIGURES}
        chosen = {(figure, side): LoopSetting(threads[figure]) for figure in FIGURES for side in SIDES}
        for figure in FIGURES:
            chosen[figure, "timm"], _ = max(tried, key=lambda one: _rate(figure, one[1]))
        turns: list[dict[str, Any]] = []
        for number in range(rounds):
            sides = SIDES if number % 2 == 0 else SIDES[::-1]
            turns += [
                _told(figure, side, chosen[figure, side], turn(side, chosen[figure, side]))
                for figure in FIGURES
                for side in sides
            ]
    return {
        "tried": [_told(figure, "timm", *one) for figure in FIGURES for one in tried],
        "turns": turns,
        "summary": {figure: _summary(figure, turns) for figure in FIGURES},
    }


def _rate(figure: str, turn: Turn) -> float:
    return turn.images / (turn.seconds if figure == "pipeline" else turn.cpu_seconds)


def _told(figure: str, side: str, setting: LoopSetting, turn: Turn) -> dict[str, Any]:
    return {
        "figure": figure,
        "side": side,
        "setting": asdict(setting),
        "images": turn.images,
        "seconds": turn.seconds,
        "cpu_seconds": turn.cpu_seconds,
        "images_per_second": _rate(figure, turn),
    }


def _summary(figure: str, turns: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return each side's images per second, and the ratio of each of ours to timm's."""
    rates = {
        side: [one["images_per_second"] for one in turns if (one["figure"], one["side"]) == (figure, side)]
        for side in SIDES
    }
    timm = next(one for one in turns if (one["figure"], one["side"]) == (figure, "timm"))
    return {
        "images_per_second": {side: asdict(quartiles(rates[side])) for side in SIDES},
        "ratio": {side: asdict(paired_ratio(rates["timm"], rates[side])) for side in OURS},
        "timm": str(LoopSetting(**timm["setting"])),
    }


def _sides(repeats: int) -> list[str]:
    return [side for side, (_, its) in OURS.items() if its == repeats]


def table(told: Mapping[str, Any]) -> str:
    """Return the tables of docs/performance.md on folders, in Markdown."""
    lines = [
        [
            f"{LABELS[figure]}, {words}",
            *(rate_text(one["images_per_second"][side]) for side in (*ours, "timm")),
            *(ratio_text(one["ratio"][side]) for side in ours),
            one["timm"],
        ]
        for figure, one in told["summary"].items()
        for words, ours in ((words, _sides(repeats)) for repeats, words in REPEATS.items())
    ]
    heads = ["images per second", *(f"ours, {name}" for name in RESIZERS), "timm"]
    heads += [*(f"ratio, {name}" for name in RESIZERS), "timm's fastest setting"]
    prepared = [
        [str(one["cores"]), f"{one['seconds']:.1f}", f"{one['images_per_second']:,.0f}"] for one in told["prepare"]
    ]
    data, environment = told["data"], told["environment"]
    return (
        f"{data['images']:,} JPEG files of {data['width']}x{data['height']} pixels, {data['bytes'] / 1e3:.0f} kB each; "
        f"batch {BATCH}; {environment['cores']} cores of an {environment['processor']}, at a load of "
        f"{environment['load_before']:.1f} before the first round.\n\n{markdown(heads, lines)}\n\n"
        f"{markdown(('`lape data prepare` on so many cores', 'seconds', 'images per second'), prepared)}"
    )
