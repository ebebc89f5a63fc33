"""Measures the figures of docs/performance.md, and fills its tables.

`python -m benchmarks.performance` runs all commands of the page, which takes about 15 minutes on an idle machine.
`python -m benchmarks.performance alone pair` runs only the named ones; `tables` only fills the tables. The figures of
each command are written to docs/performance.json when it ends.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import shlex
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks import bfloat16, folders, gpu, neighbours, segmentation, small_models, stacking
from benchmarks.documents import add_parts, chosen_parts, fill, markdown, read_figures, write_figures
from benchmarks.products import products
from suite.bench.throughput.measure import SIDES
from suite.bench.throughput.summary import REACHED
from suite.bench.throughput.turns import LoopSetting
from suite.cli.commands.throughput import LABELS, QUIET, rate_text, ratio_text
from suite.store.folder import Store

DOCS = Path(__file__).resolve().parents[1] / "docs"
FIGURES, DOCUMENT = DOCS / "performance.json", DOCS / "performance.md"
Figures = dict[str, Any]

_HEADLINE = "--arch vit_lite_7_4 --recipe compact_transformers_cifar10 --dataset cifar10"
COMMANDS = {
    "alone": f"lape bench --throughput {_HEADLINE} --json -",
    "pair": f"lape bench --throughput {_HEADLINE} --side-by-side 2 --json -",
    "bf16": f"lape bench --throughput {_HEADLINE} --precision bf16 --json -",
    "join": "lape bench --arch vit_lite_7_4 --image-size 32 --classes 10 --batch-size 128 --rounds 5 --csv -",
}
PARTS = (*COMMANDS, "memory", "products", "stack", "small", "folders", "segmentation", "neighbours", "bf16_step")
# One short training run of Table 2: its peak memory doesn't depend on its length. The override of the blocks comes
# first, because the other overrides change those blocks.
TRAINED = (
    "lape run table2 --set 'blocks=[{recipe: compact_transformers_cifar10, axes: {arch: [vit_lite_7_4], "
    "pe: [learnable], join: [default], dataset: [cifar10]}}]' --set seeds=[121] --set recipe.warmup_epochs=1 "
    "--set recipe.epochs=2 --set recipe.cooldown_epochs=0 --set recipe.train_images=2560 --set recipe.test_every=2 "
    "--executor serial"
)
_PATIENCE = 180  # the most seconds to wait for the machine to become idle


def measure(name: str, options: Sequence[str]) -> Any:
    """Measure one part, and return its figures. `options` are further options of `lape bench --throughput`."""
    if name == "gpu":
        return json.loads(_run(f"{gpu.BENCH} --json -"))
    if name in gpu.PARTS:
        return gpu.measure(name)
    if name == "products":
        return products()
    if name == "stack":
        return [asdict(row) for row in stacking.main("cpu", seeds=3)]
    if name == "small":
        return small_models.measure()
    if name == "folders":
        return folders.measure()
    if name == "neighbours":
        return neighbours.measure()
    if name == "bf16_step":
        return bfloat16.measure()
    if name == "segmentation":
        return segmentation.measure()
    if name == "memory":
        return [{"threads": threads, "megabytes": _peak(threads)} for threads in (1, 2)]
    if name == "join":
        return list(csv.DictReader(_run(COMMANDS[name]).splitlines()))
    return json.loads(_run(" ".join([COMMANDS[name], *options])))


def _peak(threads: int) -> float:
    """Run one complete trial, and return the peak memory of its record, in 10^6 bytes."""
    with tempfile.TemporaryDirectory() as folder:
        _run(f"{TRAINED} --threads {threads} --results {folder}/results --reports {folder}/reports")
        (record,) = Store(Path(folder, "results", "table2")).records().values()
    assert record.peak_memory_mb is not None  # the trial is done, otherwise the command would have failed
    return record.peak_memory_mb


def rest() -> None:
    """Wait until earlier work hardly counts in the load average, for at most `_PATIENCE` seconds.

    The start of a command adds to the load before the command reads it. So half of `QUIET` is left for it.
    """
    until = time.monotonic() + _PATIENCE
    while os.getloadavg()[0] > QUIET / 2 and time.monotonic() < until:
        time.sleep(5)


def _run(command: str) -> str:
    arguments = [sys.executable, "-m", "suite", *shlex.split(command)[1:]]
    return subprocess.run(arguments, check=True, stdout=subprocess.PIPE, text=True).stdout


def tables(figures: Figures) -> Mapping[str, str]:
    """Return the tables of docs/performance.md, by name, in Markdown."""
    return {
        "machine": _machine(figures),
        "targets": _targets(figures),
        "alone": _rates(figures["alone"]),
        "pair": _rates(figures["pair"]),
        "neighbours": neighbours.table(figures["neighbours"]),
        "bf16": f"{_rates(figures['bf16'])}\n\n{_processor(figures['bf16'])}",
        "bf16_step": bfloat16.table(figures["bf16_step"]),
        "shares": _shares(figures),
        "tried": _tried(figures["alone"]),
        "join": _joins(figures["join"]),
        "stack": _stack(figures["stack"]),
        **small_models.tables(figures["small"]),
        "folders": folders.table(figures["folders"]),
        **segmentation.tables(figures["segmentation"]),
        "gpu": gpu.commands(),
        "seen": gpu.seen(figures),
    }


def _machine(figures: Figures) -> str:
    told = [figures[name] for name in ("alone", "pair")]
    environment = told[1]["environment"]
    loads, rounds = (
        " and ".join(map(str, values))
        for values in (
            [round(one["environment"]["load_before"], 1) for one in told],
            [one["plan"]["rounds"] for one in told],
        )
    )
    busy = ""
    if any(map(_busy, told)):
        busy = " **What was measured at a load above 0.5 is provisional: the machine had other work as well.**"
    return (
        f"{environment['cores']} cores of an {environment['processor']} ({figures['products']['instructions']}), "
        f"{environment['memory_gb']:.0f} GB; Python {environment['python']}, torch {environment['torch']}, "
        f"timm {environment['timm']}, Pillow {environment['pillow']}; {environment['precision']}. Of one training and "
        f"of two at once: {rounds} rounds, at a load of {loads} before the first.{busy}"
    )


def _processor(told: Figures) -> str:
    environment = told["environment"]
    return f"{environment['cores']} cores of an {environment['processor']}, torch {environment['torch']}."


def _busy(told: Figures) -> bool:
    """Return whether the machine was busy with other work when the measurement began."""
    return bool(told["environment"]["load_before"] > QUIET)


def _targets(figures: Figures) -> str:
    alone, pair = figures["alone"], figures["pair"]
    ratios = (
        ("end to end, two cores, against timm's loop", 1.25, alone, "training"),
        ("two trainings side by side, against two of timm's loops", 1.4, pair, "training"),
        ("input pipeline, images per CPU second, against timm's", 4.0, alone, "pipeline_per_core"),
        ("end to end in bfloat16, two cores, against timm's loop", 1.3, figures["bf16"], "training"),
    )
    most = 1.2
    lines = []
    for what, least, told, figure in ratios:
        ratio = told["summary"][figure]["ratio"]
        word = "provisional" if _busy(told) else _word(ratio, least)
        lines.append([what, f"≥ {least:g} ×", ratio_text(ratio), word])
    for told in figures["memory"]:
        memory, threads = told["megabytes"] / 1e3, "one thread" if told["threads"] == 1 else "two threads"
        word = "met" if memory <= most else "**missed**"
        lines.append([f"memory of a trial on {threads}", f"≤ {most:g} GB", f"{memory:.2f} GB", word])
    for other, least in bfloat16.LEAST.items():
        ratio = bfloat16.ratio(figures["bf16_step"], other)
        what = f"training step in bfloat16, two cores, against that of {other.replace(', ', ' in ')}"
        lines.append([what, f"≥ {least:g} ×", ratio_text(ratio), _word(ratio, least)])
    ratio = small_models.ratio(figures["small"])
    what = f"step of ViT-Lite-2/4 on one thread, batches of {small_models.BATCH}, by micro-batches, against whole ones"
    lines.append([what, f"≥ {small_models.LEAST:g} ×", ratio_text(ratio), _word(ratio, small_models.LEAST)])
    told = figures["folders"]
    for side, (resizer, repeats) in folders.OURS.items():
        ratio, least = told["summary"]["pipeline_per_core"]["ratio"][side], 1.5
        what = f"JPEG files, {folders.REPEATS[repeats]}, per CPU second, `resizer: {resizer}`, against timm's"
        word = "provisional" if _busy(told) else _word(ratio, least)
        lines.append([what, f"≥ {least:g} ×", ratio_text(ratio), word])
    return markdown(("what", "target", "measured", ""), [*lines, *gpu.targets(figures)], ":--")


def _word(ratio: Mapping[str, float | None], least: float) -> str:
    """Describe whether a target is met, judged by the complete interval of a ratio."""
    low, high = ((ratio["median"] if end is None else end) or 0.0 for end in (ratio["low"], ratio["high"]))
    return "met" if low >= least else "**missed**" if high < least else "not settled"


def _rates(told: Figures) -> str:
    lines = [
        [
            LABELS[figure],
            *(rate_text(one[side]["images_per_second"]) for side in SIDES),
            ratio_text(one["ratio"]),
            str(LoopSetting(**one["timm"]["setting"])),
        ]
        for figure, one in told["summary"].items()
    ]
    return markdown(("images per second", "ours", "timm", "ratio", "timm's fastest setting"), lines)


def _shares(figures: Figures) -> str:
    lines = [
        [f"{name}: {LABELS[figure]}", *(_share(told["summary"][figure][side]) for side in SIDES)]
        for name, told in (("one training", figures["alone"]), ("two at once", figures["pair"]))
        for figure in REACHED
    ]
    table = markdown(("GFLOP/s (share of a large matmul's)", "ours", "timm"), lines)
    matmul = sorted(rate / 1e9 for rate in figures["alone"]["matmul_flops_per_second"])
    found = figures["products"]
    return (
        f"{table}\n\nA large matmul reached {matmul[0]:.0f} to {matmul[-1]:.0f} GFLOP/s on both cores. In a step on "
        f"one thread, matrix products and attention take {100 * found['share']:.0f} % of the time, at "
        f"{found['flops_per_second'] / 1e9:.0f} GFLOP/s; if all else took none, the step would be "
        f"{1 / found['share']:.2f} times as fast."
    )


def _share(side: Mapping[str, float]) -> str:
    return f"{side['gflops']:.0f} ({100 * side['share_of_matmul']:.0f} %)"


def _tried(told: Figures) -> str:
    lines = [
        [LABELS[turn["figure"]], str(LoopSetting(**turn["setting"])), f"{turn['images_per_second']:,.0f}"]
        for turn in told["tried"]
        if turn["side"] == "timm" and turn["figure"] != "step"
    ]
    return markdown(("timm's loop", "setting", "images per second"), lines)


def _joins(rows: Sequence[Mapping[str, str]]) -> str:
    lines = [
        [
            row["mode"],
            row["join"],
            f"{float(row['ms_per_step']):,.0f}",
            f"{float(row['peak_memory_mb']):,.1f}",
            *(
                "–" if not row[name] else f"{float(row[name]):.3f}{_interval(row, name)}"
                for name in ("time_ratio", "memory_ratio")
            ),
        ]
        for row in rows
    ]
    return markdown(("mode", "join", "ms per step", "memory (MB)", "time", "memory"), lines)


def _stack(rows: Sequence[Mapping[str, Any]]) -> str:
    lines = [
        [row["arch"], str(row["batch_size"]), str(row["seeds"]), f"{row['alone']:,.0f}", f"{row['together']:,.0f}"]
        for row in rows
    ]
    return markdown(("architecture", "batch", "seeds", "images/s one by one", "images/s at once"), lines)


def _interval(row: Mapping[str, str], name: str) -> str:
    return f" [{float(row[f'{name}_low']):.3f}, {float(row[f'{name}_high']):.3f}]" if f"{name}_low" in row else ""


def main(names: Sequence[str], options: Sequence[str]) -> None:
    """Measure the named parts, and make the tables of all parts."""
    figures = read_figures(FIGURES)
    for name in names:
        if name not in gpu.PARTS:
            rest()
        figures[name] = measure(name, options)
        write_figures(FIGURES, figures)
    fill(DOCUMENT, tables(figures))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Measure what docs/performance.md tells, and fill its tables.")
    add_parts(parser, (*PARTS, *gpu.PARTS))
    for option in ("--rounds", "--seconds"):
        parser.add_argument(option, default="5", help="of `lape bench --throughput`")
    asked = parser.parse_args()
    on_gpu = [name for name in gpu.PARTS if name in asked.names]  # "all" doesn't include them: they need a GPU
    main([*chosen_parts(asked.names, PARTS), *on_gpu], ["--rounds", asked.rounds, "--seconds", asked.seconds])
