"""Pages whose tables are made: of the registered levels, of figures that were measured, and of committed runs.

`python -m tests.test_pages` writes them anew.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch
from torch import nn

from benchmarks.documents import filled, markdown
from benchmarks.interactions import DOCUMENT, FIGURES, simulate
from benchmarks.interactions import rows as bounds
from benchmarks.interactions import tables as simulated
from benchmarks.methods import FIGURES as MEASURED
from benchmarks.own_methods import ALL
from benchmarks.own_methods import FIGURES as OWN
from benchmarks.own_methods import commands as own_commands
from benchmarks.own_methods import lines as own_lines
from benchmarks.positions import FIGURES as POSITION_COSTS
from benchmarks.positions import MODES
from suite.grid.losses import LOSSES
from suite.models import create_model
from suite.models.norms import NORMS
from suite.models.positions import POSITIONS
from suite.report.figures.paths import draw_paths, paths
from suite.report.figures.style import svg_file
from suite.report.tables.effects import effect_tables
from suite.report.tables.render import to_markdown
from suite.report.tables.rows import rows as summary_rows
from suite.report.tables.summary import summary_table
from suite.text import interval, points
from suite.verdict.paths import steps
from suite.verdict.verdicts import Verdict
from tests import findings, task_pages
from tests.conftest import REPOSITORY
from tests.findings import workspace
from tests.task_pages import of_task, pictured_verdicts, robustness, robustness_verdicts, runs, verdicts

DOCS = REPOSITORY / "docs"
NETWORKS = {
    "ResNet-18, 224 px": ("resnet18", 224, {}),
    "ResNet-50, 224 px": ("resnet50", 224, {}),
    "MobileNetV2, 224 px": ("mobilenet_v2", 224, {}),
    "ResNet-20, 32 px": ("resnet20", 32, {}),
    "ResNet-8 of 8 channels, 8 px": ("resnet_cifar", 8, {"blocks": 1, "channels": 8}),
}


def norms() -> str:
    places = {"inner": "all but the last two", "blocks": "all", "all": "all, and before the head"}
    lines = (
        [f"`{name}`", norm.summary, norm.equation, places[norm.where] if norm.tokens and name != "ln" else "",
         norm.source]
        for name, norm in NORMS.items()
    )  # fmt: skip
    return markdown(("level", "is", "equation", "blocks", "source"), lines, ":--")


def positions() -> str:
    shown = [level for name, level in POSITIONS.items() if not name.startswith("learnable+")]
    lines = (
        [f"`{one.name}`", one.summary, one.equation, ", ".join(f"`{site}`" for site in one.sites), one.prefix_tokens,
         one.source]
        for one in shown
    )  # fmt: skip
    return markdown(("level", "is", "equation", "sites", "class token", "source"), lines, ":--")


def position_costs() -> str:
    told = json.loads(POSITION_COSTS.read_text(encoding="utf-8"))
    found = {(row["pe"], row["mode"]): row for row in told["rows"]}
    lines = [
        [f"`{pe}`"]
        + [f"{row['ratio']:.3f} [{row['low']:.3f}, {row['high']:.3f}]" for row in (found[pe, mode] for mode in MODES)]
        for pe in dict.fromkeys(pe for pe, _ in found)
    ]
    plain = " and ".join(f"{told['plain_ms'][mode]:.0f}" for mode in MODES)
    table = markdown(("PE", "complete", "training"), lines)
    return (
        f"{table}\n\n{told['processor']}, 1 thread, torch {told['torch']}, fp32, {told['batch_size']} images, "
        f"{told['rounds']} rounds; without a PE it takes {plain} ms."
    )


def kinds() -> str:
    told = json.loads(OWN.read_text(encoding="utf-8"))
    lines = []
    for row in told["rows"]:
        kind = row["kind"]
        own = own_lines(kind)
        lines.append([kind, str(int(own > 0)), str(own), str(row["commands"]), f"{row['cpu_minutes']:.1f}"])
    heads = ("kind of method", "files", "lines", "commands", "CPU minutes to a verdict and a report")
    machine = f"{told['processor']}, torch {told['torch']}, one thread"
    return f"{markdown(heads, lines)}\n\nMeasured on {told['date']}: {machine}."


def losses() -> str:
    lines = ([f"`{name}`", loss.summary, loss.equation, loss.source] for name, loss in LOSSES.items())
    return markdown(("level", "is", "equation", "source"), map(_escaped, lines), ":--")


def _escaped(line: list[str]) -> list[str]:
    return [text.replace("|", "\\|") for text in line]


def costs() -> str:
    if not MEASURED.exists():
        return "Not measured yet: it takes a machine that does nothing else."
    told = json.loads(MEASURED.read_text(encoding="utf-8"))
    lines, notes = [], []
    for model in told["models"]:
        first, axis = model["rows"][0], "loss" if "--axis loss" in model["command"] else "norm"
        for row in model["rows"]:
            if row["side"] == "treatment":
                ratios = [_ratio(row, key) for key in ("time_ratio", "cpu_time_ratio")]
                lines.append([row["arch"], row[axis], row["mode"], *ratios, f"{row['memory_ratio']:.3f}"])
        notes.append(
            f"`{model['command']}`: {first['processor']}, {first['threads']:.0f} thread(s), torch {first['torch']}, "
            f"{first['precision']}, {first['rounds']:.0f} rounds; a training step with {first[axis]} takes "
            f"{first['ms_per_step']:.0f} ms; load before it began: {model['load_before']:.1f}."
        )
    table = markdown(("model", "norm or loss", "mode", "time", "CPU time", "memory"), lines)
    return "\n\n".join([table, *notes])


def _ratio(row: dict[str, Any], name: str) -> str:
    return f"{row[name]:.3f} [{row[f'{name}_low']:.3f}, {row[f'{name}_high']:.3f}]"


def scale() -> str:
    lines = []
    for name, (arch, size, sizes) in NETWORKS.items():
        with torch.device("meta"):
            model = create_model(arch, pe="none", norm="l2bn", num_classes=10, image_size=size, **sizes)
            counts = features(model.eval(), torch.zeros(1, 3, size, size))
        lines.append([name, *(f"{1e-5 * count:.3g}" for count in (counts[0], counts[-1]))])
    return markdown(("network", "first norm", "last norm"), lines)


def features(model: nn.Module, images: torch.Tensor) -> list[int]:
    """C H W of what each norm gets, in the order in which they see it."""
    counts: list[int] = []
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.register_forward_hook(lambda *hooked: counts.append(hooked[1][0][0].numel()))
    with torch.no_grad():
        model(images)
    return counts


def four_papers() -> str:
    """A line per claim of the grid, with the evidence of its number."""
    lines = []
    for one in workspace("positions_and_norms_budget").verdicts:
        claim, evidence = one.claim, one.evidence
        assert evidence is not None
        gain = evidence.gain
        contrast = f"`{claim.contrast.treatment}` over `{claim.contrast.baseline}`"
        observed = f"{points(gain.mean)} {interval(gain.low, gain.high)}"
        lines.append([claim.paper, contrast, claim.evidence.replace("_", " "), points(claim.claimed_gain), observed,
                      one.word.replace("_", " ")])  # fmt: skip
    heads = ("paper", "comparison", "source of the number", "printed gain", "gain here", "word")
    return markdown(heads, lines, ":--")


def combined() -> str:
    space = workspace("combined")
    if space.frame.empty:
        return "No runs are committed yet: `lape run combined` makes them."
    effects, sums = effect_tables(space.factorials)
    return "\n".join(map(to_markdown, (summary_table(summary_rows(space.frame)), sums, effects))).strip()


def looks() -> str:
    """Each claim of the example with what every look at it said."""
    parts = []
    for verdict, drawing in zip(looked_at(), paths(looked_at()), strict=True):
        assert verdict.evidence is not None
        lines = [
            [str(step.pairs), points(step.mean), interval(step.low, step.high), f"± {step.boundary:.2f}", step.word]
            for step in steps(verdict.evidence)
            if step.pairs >= 3
        ]
        heads = ("pairs", "mean gain", "interval at all looks", "boundaries", "word")
        table = markdown(heads, [[*line[:-1], line[-1].replace("_", " ")] for line in lines])
        parts += [
            f"### {verdict.claim.row}",
            verdict.sentence + ".",
            f"![{drawing.caption}]({drawing.name}.svg)",
            table,
        ]
    return "\n\n".join(parts)


def looked_at() -> list[Verdict]:
    """The claims of the examples: three that were run to their ends, and one whose run was stopped by its hours."""
    return [*workspace("sequential_digits").verdicts, *workspace("sequential_hours").verdicts]


MADE: dict[str, dict[str, Callable[[], str]]] = {
    "bring_your_own.md": {"kinds": kinds},
    "methods.md": {"norms": norms, "losses": losses, "costs": costs},
    "positions.md": {"positions": positions, "position_costs": position_costs, "four_papers": four_papers},
    "l2bn.md": {
        "scale": scale,
        "runs": partial(runs, "l2bn_budget"),
        "verdicts": partial(verdicts, "l2bn_budget"),
    },
    "sound.md": {
        "sound_runs": partial(runs, "spoken_digits"),
        "sound_verdicts": partial(pictured_verdicts, "spoken_digits"),
    },
    "listops.md": {
        "listops_runs": partial(runs, "listops_budget"),
        "listops_verdicts": partial(pictured_verdicts, "listops_budget"),
    },
    "segmentation.md": {
        "table4_runs": partial(of_task, "table4_budget"),
        "table4_verdicts": partial(verdicts, "table4_budget"),
        "table4_pretrained_runs": partial(of_task, "table4_pretrained"),
        "table4_pretrained_verdicts": partial(verdicts, "table4_pretrained"),
    },
    "dcn.md": {"dcn_runs": partial(of_task, "dcn_budget"), "dcn_verdicts": partial(verdicts, "dcn_budget")},
    "robustness.md": {
        "robustness_runs": partial(robustness, "robustness_cifar"),
        "robustness_verdicts": robustness_verdicts,
        "robustness_mce_runs": partial(robustness, "robustness_mce"),
        "robustness_mce_verdicts": partial(verdicts, "robustness_mce"),
    },
    "interactions.md": {"combined": combined},
    "examples_sequential.md": {"looks": looks},
    "findings.md": findings.blocks(),
}


def made(page: str) -> str:
    text = (DOCS / page).read_text(encoding="utf-8")
    return filled(text, {name: make() for name, make in MADE[page].items()})


@pytest.mark.parametrize("page", MADE)
def test_each_table_is_what_it_is_made_of(page: str) -> None:
    text = (DOCS / page).read_text(encoding="utf-8")
    assert text == made(page), "run: python -m tests.test_pages"
    for name in MADE[page]:
        assert f"<!-- {name} -->" in text


@pytest.mark.parametrize("page", MADE)
def test_every_link_leads_somewhere(page: str) -> None:
    for link in re.findall(r"\]\(([^)#]+)\)", (DOCS / page).read_text(encoding="utf-8")):
        assert link.startswith("https://") or (DOCS / link).exists(), link


@pytest.mark.parametrize("grid", ["combined", "l2bn_budget", "positions_and_norms_budget"])
def test_the_committed_runs_are_those_of_the_grid(grid: str) -> None:
    space = workspace(grid)
    if space.frame.empty:
        pytest.skip("no runs are committed")
    assert set(space.frame["trial_id"]) == space.expansion.ids
    assert set(space.frame["status"]) == {"done"}


def test_the_page_has_the_simulated_figures_and_they_keep_their_bounds() -> None:
    figures = json.loads(FIGURES.read_text(encoding="utf-8"))
    text = DOCUMENT.read_text(encoding="utf-8")
    assert filled(text, simulated(figures)) == text, "run: python -m benchmarks.interactions"
    assert figures["factorials"] == 1000
    assert [str(row) for row in bounds(figures) if not row.kept] == []


def test_a_small_simulation_keeps_its_bounds() -> None:
    assert [str(row) for row in bounds(simulate(5)) if not row.kept] == []


@pytest.mark.skipif(not MEASURED.exists(), reason="nothing was measured yet")
def test_each_kind_of_method_was_tried_and_is_short() -> None:
    told = {row["kind"]: row["commands"] for row in json.loads(OWN.read_text(encoding="utf-8"))["rows"]}
    assert told == {kind: len(own_commands(kind)) for kind in ALL}
    assert all(own_lines(kind) <= (60 if kind == "architecture" else 20) for kind in ALL)


def test_dtn_and_l2bn_were_measured() -> None:
    told = json.loads(MEASURED.read_text(encoding="utf-8"))
    assert {"dtn", "l2bn"} <= {row["norm"] for model in told["models"] for row in model["rows"]}


if __name__ == "__main__":
    for name in MADE:
        (DOCS / name).write_text(made(name), encoding="utf-8")
    for name, drawing in draw_paths(paths(looked_at())).items():
        (DOCS / f"{name}.svg").write_text(svg_file(drawing), encoding="utf-8")
    for name, drawing in findings.figures().items():
        (DOCS / name).write_text(svg_file(drawing), encoding="utf-8")
    for name, drawing in task_pages.figures().items():
        (DOCS / name).write_text(svg_file(drawing), encoding="utf-8")
