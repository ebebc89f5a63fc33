"""The summary of a throughput measurement: images per second of both sides, as JSON values."""

from __future__ import annotations

import importlib.util
import math
import os
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from suite.bench.ratios import Quartiles, Ratio, paired_ratio, quartiles
from suite.bench.throughput.measure import SIDES, Figure, Plan, Throughput, Timed, figures
from suite.bench.throughput.workload import Workload
from suite.cores import usable_cores
from suite.models.build import build_model
from suite.models.costs.macs import count_macs
from suite.models.model_cell import ModelCell
from suite.store.record import Environment

PASSES = 3  # a training step costs three forward passes: one forward, and a backward that costs two
REACHED: tuple[Figure, ...] = ("step", "training")  # figures that are also reported as a fraction of the matmul rate
PACKAGES = ("timm", "pillow", "torchvision")


def summarise(
    recipe: str, workload: Workload, plan: Plan, environment: Environment, load: float, found: Throughput
) -> dict[str, Any]:
    """Return all measurements, the machine and the settings as JSON values.

    Args:
        recipe: the recipe's name.
        workload: the model, data and recipe that were measured.
        plan: how long and how often each side was measured.
        environment: the machine and the packages.
        load: the machine's load average before the measurement.
        found: the timed turns.
    """
    rounds = [[_turn(timed) for timed in turns] for turns in found.rounds]
    macs = count_macs(build_model(workload.cell), workload.dataset.image_size, workload.dataset.channels)
    flops = 2 * PASSES * macs
    matmul = quartiles(found.matmul).median
    summary = {figure: _summary(figure, found.rounds) for figure in figures(workload.device)}
    for figure in REACHED:
        for side in SIDES:
            reached = flops * summary[figure][side]["images_per_second"]["median"]
            summary[figure][side] |= {"gflops": reached / 1e9, "share_of_matmul": reached / matmul}
    memory = {
        side: max(timed.turn.memory_mb for turns in found.rounds for timed in turns
                  if (timed.side, timed.figure) == (side, "training"))
        for side in SIDES
    }  # fmt: skip
    return {
        "format": 1,
        "model": {**_named(workload.cell), "forward_macs": macs, "training_flops_per_image": flops},
        "recipe": {"name": recipe, **workload.recipe.model_dump(mode="json")},
        "data": {
            "name": workload.dataset.name,
            "made_up": workload.root is None,
            **asdict(workload.cell.shape),
        },
        "environment": {
            **environment.model_dump(),
            **{package: importlib.metadata.version(package) for package in PACKAGES},
            "cores": usable_cores(),
            "memory_gb": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9,
            "load_before": load,
        },
        "plan": asdict(plan),
        "tried": [_turn(timed) for timed in found.tried],
        "rounds": rounds,
        "matmul_flops_per_second": list(found.matmul),
        "summary": summary,
        "memory_mb": memory,
    }


def _named(cell: ModelCell) -> dict[str, str]:
    return {"arch": cell.arch.name, **cell.levels}


def _turn(timed: Timed) -> dict[str, Any]:
    turn = timed.turn
    return {
        "figure": timed.figure,
        "side": timed.side,
        "setting": asdict(timed.setting),
        "images": turn.images,
        "seconds": turn.seconds,
        "cpu_seconds": _number(turn.cpu_seconds),
        "memory_mb": turn.memory_mb,
        "images_per_second": _number(timed.rate),
    }


def _summary(figure: Figure, rounds: Sequence[Sequence[Timed]]) -> dict[str, Any]:
    """Return both sides' images per second over the rounds, and the ratio ours / timm."""
    turns = {side: [one for turns in rounds for one in turns if (one.figure, one.side) == (figure, side)]
             for side in SIDES}  # fmt: skip
    rates = {side: [timed.rate for timed in turns[side]] for side in SIDES}
    sides: dict[str, Any] = {
        side: {"setting": asdict(turns[side][0].setting), "images_per_second": _spread(quartiles(rates[side]))}
        for side in SIDES
    }
    return sides | {"ratio": _spread(paired_ratio(rates["timm"], rates["ours"]))}


def _spread(spread: Quartiles | Ratio) -> dict[str, float | None]:
    return {key: _number(value) for key, value in asdict(spread).items()}


def _number(value: float) -> float | None:
    return None if math.isnan(value) else value
