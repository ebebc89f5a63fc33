"""`lape bench`: measured time and memory of a method relative to its baseline."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import astuple
from pathlib import Path
from typing import cast, get_args

import torch
from rich.table import Table
from rich.text import Text

from suite.bench.ratios import Ratio, only, quartiles
from suite.bench.sides import Comparison, Side, Sides, check_losses, make_side, usual_level, usual_levels
from suite.bench.speed import MODES, Setting, compare, recipe_for
from suite.cli.commands.console import WIDTH, Record, open_console, put
from suite.cli.commands.model_options import (
    cell_record,
    check_names,
    chosen_architecture,
    listed_cells,
    possible,
    usual_pe,
)
from suite.cli.commands.precision_note import tell_slow_bf16
from suite.cli.commands.thread_note import note_threads
from suite.cli.declarations.bench_options import BenchOptions
from suite.errors import InputError, unknown
from suite.grid.axes import AXES, METHODS
from suite.grid.recipe import AskedPrecision
from suite.models.model_cell import Shape
from suite.report.tables.summary import HEADS
from suite.report.tables.terminal import open_table
from suite.store.environment import describe
from suite.store.files import make_place
from suite.store.record import Environment
from suite.text import Progress
from suite.train.machine import Machine, device_name
from suite.verdict.claims.cost_ratios import judge_ratios
from suite.verdict.claims.reader import read_claim_files

ARCH, BATCH_SIZE, ROUNDS, THREADS = "deit_tiny", 32, 30, 1  # defaults


def print_bench(asked: BenchOptions) -> None:
    """Run `lape bench`: measure both sides, and print the table, or with `--csv -` the CSV only.

    Raises:
        InputError: an option is wrong, or the options don't fit together.
    """
    claims, target, steps, compiled = asked.claims or [], asked.target, asked.steps, asked.compiled
    batch_size, rounds, threads = asked.batch_size or BATCH_SIZE, asked.rounds or ROUNDS, asked.threads or THREADS
    if target is not None and target != "-":
        make_place(Path(target))  # an error is reported now, and not after minutes of measuring
    published = [value for file in read_claim_files(claims) for value in file.values.values()]
    sides = _sides(asked)
    if claims and asked.axis != "join":
        raise InputError(
            "the published ratios are of joining methods",
            expected="--claims with --axis join",
            found=f"--axis {asked.axis}",
            where="lape bench",
            fix="leave --claims out",
        )
    baseline, treatment = (side.level(asked.axis) for side in sides)
    recipe = recipe_for(
        batch_size, _precision(asked.precision), max(filter(None, (s.patch() for s in sides)), default=None)
    )
    check_losses(sides, recipe)
    machine = Machine(device=asked.device, threads=threads)
    note_threads(machine)
    torch_device = machine.torch_device()
    on_gpu = torch_device.type == "cuda"
    setting = Setting(
        device=torch_device,
        threads=threads,
        steps=steps or (10 if on_gpu else 1),  # several on a GPU: each measurement ends with a synchronisation
        rounds=rounds,
        compiled=on_gpu if compiled is None else compiled,
        recipe=recipe,
    )
    environment = describe(torch.__version__, device_name(torch_device), setting.precision, threads)
    tell_slow_bf16(setting.precision, torch_device, threads)
    with Progress("measuring", len(MODES) * rounds, "rounds") as progress:

        def counted(numbers: Sequence[int]) -> Iterator[int]:
            for number in numbers:
                yield number
                progress.advance()

        results = compare([side.cell for side in sides], setting, counted, [side.loss for side in sides])
    comparisons = [Comparison(mode, *results[mode]) for mode in MODES]
    console = open_console(WIDTH)
    records = [record for comparison in comparisons for record in _records(comparison, sides, setting, environment)]
    put(console, _table(comparisons, sides, asked.axis, setting, environment), records, target)
    if target != "-":
        for comparison in comparisons:
            text = _sentence(comparison, baseline, treatment)
            console.print(text, highlight=False, markup=False, soft_wrap=True)
        training = next(comparison for comparison in comparisons if comparison.mode == "training")
        measured = {"train_seconds_per_epoch": training.time, "train_memory_mb": only(training.memory)}
        for verdict in judge_ratios(
            published, sides[0].cell.arch.name, sides[0].cell.pe, baseline, treatment, measured
        ):
            console.print(verdict.sentence, highlight=False, markup=False, soft_wrap=True)


def _sides(asked: BenchOptions) -> Sides:
    arch = asked.arch or ARCH
    if asked.axis not in METHODS:
        raise unknown("axis", asked.axis, METHODS, where=f"--axis {asked.axis}")
    if (twice := getattr(asked, asked.axis, None)) is not None:
        raise InputError(
            f"--{asked.axis} is of both sides, and they differ in it",
            expected="its levels by --baseline and --treatment",
            found=f"--{asked.axis} {twice}",
            where=f"--axis {asked.axis}",
            fix=f"leave --{asked.axis} out, or choose another --axis",
        )
    architecture = chosen_architecture(arch, asked.sizes)
    levels = [
        usual_level(asked.axis, architecture, treatment=second) if level is None else level
        for second, level in ((False, asked.baseline), (True, asked.treatment))
    ]
    for option, level in zip(("--baseline", "--treatment"), levels, strict=True):
        check_names(option, AXES[asked.axis].levels, [level])
    both = {name: getattr(asked, name, None) or usual for name, usual in usual_levels(architecture).items()}
    shape = Shape(asked.classes, asked.image_size, asked.channels)
    pe = usual_pe(architecture) if asked.pe is None else asked.pe
    first, second = (
        make_side(cell, side)
        for level in levels
        for side in [both | {asked.axis: level}]
        for cell in possible(
            listed_cells([arch], asked.sizes, [pe], [side["join"]], [side["norm"]], shape),
            expected="two sides that are possible",
            where="lape bench",
            fix="change --arch, --size, --pe, --image-size, --baseline or --treatment",
        )
    )
    return first, second


def _precision(name: str) -> AskedPrecision:
    for known in get_args(AskedPrecision):
        if name == known:
            return cast(AskedPrecision, known)
    raise unknown("precision", name, get_args(AskedPrecision), where=f"--precision {name}")


def _records(comparison: Comparison, sides: Sides, setting: Setting, environment: Environment) -> list[Record]:
    """Return one CSV record per side. The ratios are in the treatment's record."""
    ratios = {
        **_ratio_record("time_ratio", comparison.time),
        **_ratio_record("cpu_time_ratio", comparison.cpu),
        "memory_ratio": comparison.memory,
    }
    records: list[Record] = []
    for name, measured, side in zip(
        ("baseline", "treatment"), (comparison.baseline, comparison.treatment), sides, strict=True
    ):
        time = quartiles(measured.seconds)
        records.append(
            {
                "mode": comparison.mode,
                "side": name,
                **cell_record(side.cell),
                "loss": side.loss,
                "ms_per_step": 1e3 * time.median,
                "ms_low_quartile": 1e3 * time.low,
                "ms_high_quartile": 1e3 * time.high,
                "images_per_second": setting.recipe.batch_size / time.median,
                "peak_memory_mb": measured.memory_mb,
                "operators": measured.operators,
                **(ratios if name == "treatment" else dict.fromkeys(ratios)),
                "batch_size": setting.recipe.batch_size,
                "rounds": setting.rounds,
                "steps": setting.steps,
                "compiled": str(setting.compiled).lower(),
                "precision": environment.precision,
                "device": environment.device,
                "processor": environment.processor,
                "threads": environment.threads,
                "torch": environment.torch,
            }
        )
    return records


def _ratio_record(name: str, ratio: Ratio | None) -> dict[str, float | None]:
    values = dict(zip(("", "_low", "_high"), (math.nan,) * 3 if ratio is None else astuple(ratio), strict=True))
    return {name + part: None if math.isnan(value) else value for part, value in values.items()}


def _table(
    comparisons: Sequence[Comparison],
    sides: Sides,
    axis: str,
    setting: Setting,
    environment: Environment,
) -> Table:
    cell = sides[0].cell
    device = f"{environment.processor}, {environment.threads} CPU thread{'s' * (environment.threads > 1)}"
    if setting.device.type != "cpu":
        device = f"{environment.device}, {device}"
    how = "compiled" if setting.compiled else "not compiled"
    table = open_table(
        title=f"{cell.arch.name}, {cell.pe}{_others(sides[0], axis)}, {cell.shape}; batch {setting.recipe.batch_size}, "
        f"{environment.precision}, {how}",
        caption=f"{device}, torch {environment.torch}; {setting.rounds} rounds of {setting.steps} per side, in turn. "
        "Time: median (quartiles); its ratio: median of paired rounds [95 % interval]. Memory: the most that "
        "one side alone holds at once. Operators: that compute, per step, before any compilation.",
    )
    for head in ("Mode", HEADS[axis]):
        table.add_column(head, no_wrap=True)
    for head in ("ms per step", "Images/s", "Memory (MB)", "Operators"):
        table.add_column(head, justify="right", no_wrap=True)
    for comparison in comparisons:
        for side, measured in zip(sides, (comparison.baseline, comparison.treatment), strict=True):
            time = quartiles([1e3 * seconds for seconds in measured.seconds])
            texts = (
                comparison.mode,
                side.level(axis),
                f"{time.median:.2f} ({time.low:.2f} to {time.high:.2f})",
                f"{1e3 * setting.recipe.batch_size / time.median:,.1f}",
                f"{measured.memory_mb:,.1f}",
                f"{measured.operators:,}",
            )
            table.add_row(*map(Text, texts))
    return table


def _others(side: Side, axis: str) -> str:
    """Return the levels that both sides share on the other method axes, without those that are the default."""
    usual = usual_levels(side.cell.arch)
    return "".join(f", {side.level(name)}" for name in METHODS if name != axis and side.level(name) != usual[name])


def _sentence(comparison: Comparison, baseline: str, treatment: str) -> str:
    """Return a sentence with the treatment's time, memory and operators relative to the baseline's."""
    parts = [f"{_ratio_text(comparison.time)} × the time of {baseline}"]
    if comparison.cpu is not None:
        parts.append(f"{_ratio_text(comparison.cpu)} × its CPU time")
    parts.append(f"{comparison.memory:.4f} × its memory")
    parts.append(f"{comparison.treatment.operators - comparison.baseline.operators:+} operators")
    return f"{comparison.mode}: {treatment} takes {', '.join(parts)}"


def _ratio_text(ratio: Ratio) -> str:
    interval = "" if math.isnan(ratio.low) else f" [{ratio.low:.4f}, {ratio.high:.4f}]"
    return f"{ratio.median:.4f}{interval}"
