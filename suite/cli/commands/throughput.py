"""`lape bench --throughput`: images per second of our training, interleaved with a timm-based training loop."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from rich.table import Table
from rich.text import Text

from suite.bench.ratios import quartiles
from suite.bench.throughput.measure import SIDES, Figure, Plan, measure, turn_count
from suite.bench.throughput.summary import PACKAGES, REACHED, summarise
from suite.bench.throughput.turns import LoopSetting
from suite.bench.throughput.workload import Workload
from suite.cli.commands.console import WIDTH, open_console
from suite.cli.commands.model_options import chosen_architecture, listed_cells, possible, usual_pe
from suite.cli.commands.precision_note import tell_slow_bf16
from suite.cli.declarations.bench_options import BenchOptions
from suite.cores import usable_cores
from suite.data.cache import load_meta, open_root, verify
from suite.data.datasets import DATASETS, Dataset
from suite.errors import InputError, unknown
from suite.grid.documents import read_document
from suite.grid.recipe import Recipe
from suite.grid.shipped import known_files
from suite.models.backbone_size import is_semantic
from suite.models.model_cell import Shape
from suite.models.region_size import RegionSize
from suite.models.sequence_size import SequenceSize
from suite.report.tables.terminal import open_table
from suite.store.environment import describe
from suite.store.files import make_place, write_atomic
from suite.text import Progress, note, say
from suite.train.machine import Machine, device_name
from suite.train.steps.precision import choose_precision

ARCH, ROUNDS = "vit_lite_7_4", 5  # defaults
SYNTHETIC = "synthetic"
USUAL = "cifar10"  # the default data set; if it isn't prepared, synthetic images of its size are used
QUIET = 0.5  # the highest load average of a machine that counts as idle
SHORTEST, LONGEST = 0.01, 3600.0  # limits of a turn's length in seconds
LABELS: dict[Figure, str] = {
    "step": "training step alone",
    "pipeline": "input pipeline alone",
    "pipeline_per_core": "input pipeline, per CPU second",
    "training": "end to end",
}


def print_throughput(asked: BenchOptions) -> None:
    """Run `lape bench --throughput`: measure, and print the table, or with `--json -` the JSON only.

    Raises:
        InputError: timm, the recipe, the data set or the device isn't available, or the options don't fit together.
    """
    target = asked.json_target
    if importlib.util.find_spec("timm") is None:
        raise InputError(
            "timm is not installed, and there is nothing to compare with",
            expected="timm, which comes with what it takes to train",
            found="no package of this name",
            where="this environment",
            fix="run: uv sync --extra train",
        )
    if not SHORTEST <= asked.seconds <= LONGEST:
        raise InputError(
            "a turn that is too short or too long",
            expected=f"from {SHORTEST:g} to {LONGEST:g} seconds",
            found=f"{asked.seconds:g}",
            where=f"--seconds {asked.seconds:g}",
            fix="leave it out for some seconds",
        )
    if target is not None and target != "-":
        make_place(Path(target))  # an error is reported now, and not after minutes of measuring
    threads = asked.threads or usable_cores()
    device = Machine(device=asked.device, threads=threads).torch_device()
    workload = _workload(asked, device)
    plan = Plan(asked.rounds or ROUNDS, asked.seconds, asked.side_by_side, threads, _workers(asked, threads))
    environment = describe(
        torch.__version__,
        device_name(device),
        choose_precision(workload.recipe, device).name,
        threads,
    )
    tell_slow_bf16(environment.precision, device, threads)
    load = os.getloadavg()[0]  # before our own measurement adds to the load
    with Progress("measuring", turn_count(device, plan), "turns") as progress:
        found = measure(workload, plan, lambda doing: progress.advance(doing=f"last {doing}"))
    told = summarise(asked.recipe, workload, plan, environment, load, found)
    text = json.dumps(told, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
    if target == "-":
        say(text, end="")
        return
    console = open_console(WIDTH)
    console.print(_table(told))
    for line in _sentences(told):
        console.print(line, highlight=False, markup=False, soft_wrap=True)
    if target is not None:
        write_atomic(Path(target), text.encode())
        console.print(target, highlight=False, markup=False, soft_wrap=True)


def _workers(asked: BenchOptions, threads: int) -> tuple[int, ...]:
    """Return the numbers of loader processes to try: none, a few, and one per CPU thread of a training run."""
    if asked.workers:
        return tuple(sorted(set(asked.workers)))
    each = max(1, threads // asked.side_by_side)
    return tuple(sorted({0, 1, 2, each} if asked.side_by_side == 1 else {0, 1, each}))


def _workload(asked: BenchOptions, device: torch.device) -> Workload:
    recipe = _recipe(asked)
    dataset, root = _dataset(asked)
    shape = Shape(dataset.num_classes, dataset.image_size, dataset.channels)
    arch = asked.arch or ARCH
    chosen = chosen_architecture(arch, asked.sizes)
    if dataset.listops is not None or isinstance(chosen.size, SequenceSize):
        raise InputError(
            "timm's loop is of images",
            expected="an architecture and a data set of images",
            found=f"arch {arch}, data set {dataset.name}",
            where="lape bench --throughput",
            fix="leave --throughput out: `lape bench --arch NAME --channels 1` times two sides on made-up sequences",
        )
    other = dataset.segmentation is not None or dataset.regions is not None
    if other or is_semantic(chosen.size) or isinstance(chosen.size, RegionSize):
        raise InputError(
            "timm's loop classifies images",
            expected="an architecture and a data set of one class per image",
            found=f"arch {arch}, data set {dataset.name}",
            where="lape bench --throughput",
            fix="leave --throughput out: `lape bench --arch NAME` times two sides on made-up masks or regions",
        )
    pe = asked.pe or usual_pe(chosen)
    (cell,) = possible(
        listed_cells([arch], asked.sizes, [pe], [asked.join or "default"], [asked.norm] if asked.norm else [], shape),
        expected="a model that is possible",
        where="lape bench --throughput",
        fix="change --arch, --size, --pe, --join, --norm or --dataset",
    )
    if recipe.batch_size > dataset.train_images:
        raise InputError(
            "a batch larger than the data set",
            expected=f"at most {dataset.train_images} images per step",
            found=str(recipe.batch_size),
            where=f"recipe {asked.recipe}",
            fix="choose a smaller --batch-size",
        )
    return Workload(cell, recipe, dataset, root, device)


def _recipe(asked: BenchOptions) -> Recipe:
    path = Path(asked.recipe)
    if path.suffix != ".yaml":
        known = known_files("recipes")
        if asked.recipe not in known:
            expected = "a recipe in grids/recipes, or a YAML file"
            raise unknown("recipe", asked.recipe, known, expected=expected, where=f"--recipe {asked.recipe}")
        path = known[asked.recipe]
    document = read_document(path)
    changes = {"batch_size": asked.batch_size, "precision": asked.said("precision")}
    values = {**document.values, **{key: value for key, value in changes.items() if value is not None}}
    recipe = document.validate(Recipe, values)
    if recipe.distillation != "none":
        raise InputError(
            "a recipe with a teacher can't be timed",
            expected="distillation: none",
            found=f"distillation: {recipe.distillation}",
            where=str(path),
            fix="leave the teacher out; its forward costs what `lape bench --arch` says of its like in evaluation",
        )
    for key in ("pretrained", "backbone_sha256"):
        if getattr(recipe, key) is not None:
            note(f"the recipe's {key} is left out: all weights are drawn, which takes the same time")
    return recipe


def _dataset(asked: BenchOptions) -> tuple[Dataset, Path | None]:
    """Return the data set, and the folder of the prepared data sets, or None for synthetic images."""
    if asked.dataset == SYNTHETIC:
        usual = DATASETS[USUAL]
        channels = asked.said("channels") or usual.channels
        half = (0.5,) * channels
        facts = {
            "name": SYNTHETIC,
            "num_classes": asked.said("classes") or usual.num_classes,
            "image_size": asked.said("image_size") or usual.image_size,
            "channels": channels,
            "mean": half,
            "std": half,
        }
        return Dataset.model_validate({**usual.model_dump(), **facts}), None
    root = open_root(asked.data)
    if asked.dataset is None and load_meta(USUAL, root) is None:
        return DATASETS[USUAL], None
    name = asked.dataset or USUAL
    meta = load_meta(name, root)
    if name not in DATASETS and meta is None:
        expected = "a data set that is built in or prepared, or 'synthetic'"
        raise unknown("data set", name, [*DATASETS, SYNTHETIC], expected=expected, where=f"--dataset {name}")
    dataset = DATASETS[name] if name in DATASETS or meta is None else meta.dataset
    verify(dataset, root)
    return dataset, root


def _table(told: dict[str, Any]) -> Table:
    model, data, environment, plan = told["model"], told["data"], told["environment"], told["plan"]
    pictures = f"made-up pictures of {data['image_size']}×{data['image_size']}×{data['in_chans']}"
    versions = ", ".join(f"{package} {environment[package]}" for package in ("torch", *PACKAGES))
    at_once = f"{plan['side_by_side']} trainings at once; " if plan["side_by_side"] > 1 else ""
    table = open_table(
        title=f"{model['arch']}, {model['pe']}, {model['join']}; {pictures if data['made_up'] else data['name']}; "
        f"{told['recipe']['name']}, batch {told['recipe']['batch_size']}, {environment['precision']}",
        caption=f"{_machine(environment)}, {versions}; {at_once}{plan['rounds']} rounds of about "
        f"{plan['seconds']:g} s per side, in turn. Images per second: median (quartiles); ratio: median of paired "
        "rounds [95 % interval]. timm: its fastest of the settings tried.",
    )
    table.add_column("Images/s", no_wrap=True)
    for head in ("Ours", "timm", "Ratio"):
        table.add_column(head, justify="right", no_wrap=True)
    table.add_column("timm's setting", no_wrap=True)
    for figure, summary in told["summary"].items():
        texts = (
            LABELS[figure],
            *(rate_text(summary[side]["images_per_second"]) for side in SIDES),
            ratio_text(summary["ratio"]),
            str(LoopSetting(**summary["timm"]["setting"])),
        )
        table.add_row(*map(Text, texts))
    return table


def _machine(environment: dict[str, Any]) -> str:
    threads = environment["threads"]
    processor = f"{environment['processor']}, {threads} CPU thread{'s' * (threads > 1)}"
    return processor if environment["device"] == "cpu" else f"{environment['device']}, {processor}"


def rate_text(rate: Mapping[str, float]) -> str:
    """Format the quartiles of images per second, as they are in the JSON."""
    return f"{rate['median']:,.0f} ({rate['low']:,.0f} to {rate['high']:,.0f})"


def ratio_text(ratio: Mapping[str, float | None]) -> str:
    """Format a ratio with its interval, if it has one, as they are in the JSON."""
    interval = "" if ratio["low"] is None else f" [{ratio['low']:.2f}, {ratio['high']:.2f}]"
    return f"{ratio['median']:.2f}{interval}"


def _sentences(told: dict[str, Any]) -> list[str]:
    """Return the lines below the table: floating-point rates, memory, and a warning if the machine was busy."""
    flops, matmul = told["model"]["training_flops_per_image"], quartiles(told["matmul_flops_per_second"]).median
    lines = [
        f"a training step takes {flops / 1e9:.3g} GFLOP per image, thrice a forward; a large matmul reaches "
        f"{matmul / 1e9:,.0f} GFLOP/s here"
    ]
    for figure in REACHED:
        parts = [f"{side} {_reached(told['summary'][figure][side])}" for side in SIDES]
        lines.append(f"{LABELS[figure]}: {', '.join(parts)}")
    parts = [f"{side} {told['memory_mb'][side]:,.0f} MB" for side in SIDES]
    where = "of a process" if told["environment"]["device"] == "cpu" else "of the GPU"
    lines.append(f"memory {where}, end to end, at most: {', '.join(parts)}")
    if told["environment"]["load_before"] > QUIET:
        lines.append(f"but: something else was running before it began (load {told['environment']['load_before']:.1f})")
    return lines


def _reached(side: dict[str, Any]) -> str:
    return f"{side['gflops']:,.0f} GFLOP/s ({100 * side['share_of_matmul']:.0f} % of the matmul's)"
