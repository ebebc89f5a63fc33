"""The GPU figures of docs/performance.md: `python -m benchmarks.performance gpu gpu_stack gpu_ten` on a GPU machine.

Each part takes about two minutes, mostly for compilation. Synthetic images are used if CIFAR-10 isn't prepared.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from benchmarks import headline, stacking
from benchmarks.documents import markdown
from benchmarks.headline import Timed
from suite.cli.commands.throughput import ratio_text

Figures = Mapping[str, Any]
BENCH = (
    "lape bench --throughput --arch vit_lite_7_4 --recipe compact_transformers_cifar10 --device cuda --workers 16 "
    "--rounds 4 --seconds 2"
)
SEEDS, RATIO, RATE, MINUTES = 10, 10.0, 60_000, 45


@dataclass(frozen=True)
class Part:
    """A performance target.

    Args:
        what: what is measured.
        target: the bound, as text.
        command: the command that measures it.
        told: turns the figures into the result as text, and whether the target is met.
    """

    what: str
    target: str
    command: str
    told: Callable[[Any], tuple[str, bool]]


def _ratio(told: Any) -> tuple[str, bool]:
    ratio = told["summary"]["training"]["ratio"]
    return ratio_text(ratio), (ratio["median"] if ratio["low"] is None else ratio["low"]) >= RATIO


def _rate(told: Any) -> tuple[str, bool]:
    fastest = max(row["together"] for row in told)
    return f"{fastest:,.0f} images/s", fastest >= RATE


def _minutes(told: Any) -> tuple[str, bool]:
    minutes = sum(Timed(**side).minutes for side in told)
    return f"{minutes:.0f} min", minutes <= MINUTES


PARTS = {
    "gpu": Part("end to end, against timm's loop with 16 workers", f"≥ {RATIO:g} ×", BENCH, _ratio),
    "gpu_stack": Part(
        "ten seeds stacked",
        f"≥ {RATE:,} images/s",
        f"python -m benchmarks.stacking table2 --device cuda --seeds {SEEDS}",
        _rate,
    ),
    "gpu_ten": Part(
        "ten trials of Table 2's ViT-Lite-7/4, by some epochs of them",
        f"≤ {MINUTES} min",
        "python -m benchmarks.headline --device cuda",
        _minutes,
    ),
}


def measure(name: str) -> Any:
    """Measure a part that isn't measured with a `lape` command, and return its figures."""
    if name == "gpu_stack":
        return [asdict(row) for row in stacking.main("cuda", SEEDS, [stacking.HEADLINE])]
    return [asdict(headline.timed(side, "cuda")) for side in headline.SIDES]


def targets(figures: Figures) -> list[Sequence[str]]:
    """Return the rows of the table of targets."""
    lines = list[Sequence[str]]()
    for name, part in PARTS.items():
        measured, word = "–", "**open**"
        if name in figures:
            measured, met = part.told(figures[name])
            word = "met" if met else "**missed**"
        lines.append([f"one H200-class GPU: {part.what}", part.target, measured, word])
    return lines


def commands() -> str:
    """Return the table of the commands that measure the targets."""
    lines = ([part.what, part.target, f"`{part.command}`"] for part in PARTS.values())
    return markdown(("target", "is", "command"), lines, ":--")


def seen(figures: Figures) -> str:
    """Return the table of measurements of earlier versions of the code."""
    lines = (
        [row["what"], f"{row['images_per_second']:,}", f"`{row['commit']}`"] for row in figures["gpu_seen"]["rows"]
    )
    return f"{figures['gpu_seen']['machine']}.\n\n" + markdown(("what", "images per second", "code"), lines, ":--")
