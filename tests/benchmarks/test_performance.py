"""The page on performance tells the committed figures."""

from __future__ import annotations

import copy

import pytest
import torch

from benchmarks.documents import filled, read_figures
from benchmarks.gpu import PARTS as GPU_PARTS
from benchmarks.performance import COMMANDS, DOCUMENT, FIGURES, Figures, tables
from benchmarks.regions import communities
from benchmarks.segmentation import counts_by_loop, loss_by_autograd
from suite.models.regions.modularity import modularity_loss
from suite.train.tasks import SemanticSegmentation


@pytest.fixture(scope="module")
def figures() -> Figures:
    """The committed figures."""
    return read_figures(FIGURES)


def test_the_document_has_the_committed_figures(figures: Figures) -> None:
    document = DOCUMENT.read_text(encoding="utf-8")
    made = tables(figures)
    assert filled(document, made) == document, "run: python -m benchmarks.performance tables"
    assert all(f"<!-- {name} -->" in document for name in made)
    assert document.count("<!-- end -->") == len(made)


def test_the_figures_are_of_the_commands_that_the_page_names(figures: Figures) -> None:
    for name, side_by_side in (("alone", 1), ("pair", 2), ("bf16", 1)):
        told = figures[name]
        assert told["model"]["arch"] == "vit_lite_7_4"
        assert told["recipe"]["name"] == "compact_transformers_cifar10"
        assert (told["recipe"]["batch_size"], told["data"]["name"], told["data"]["made_up"]) == (128, "cifar10", False)
        assert told["plan"]["side_by_side"] == side_by_side
        for figure, summary in told["summary"].items():
            rates = {
                side: [turn["images_per_second"] for turns in told["rounds"] for turn in turns
                       if (turn["figure"], turn["side"]) == (figure, side)]
                for side in ("ours", "timm")
            }  # fmt: skip
            ratios = sorted(ours / timm for ours, timm in zip(rates["ours"], rates["timm"], strict=True))
            middle = (ratios[(len(ratios) - 1) // 2] + ratios[len(ratios) // 2]) / 2
            assert summary["ratio"]["median"] == pytest.approx(middle)
    assert COMMANDS["alone"].removesuffix(" --json -") in DOCUMENT.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("ends", "memory", "load", "words"),
    [
        ((1.3, 1.5), 1.1, 0.1, ("met", "met")),
        ((1.1, 1.5), 1.3, 0.1, ("not settled", "**missed**")),
        ((None, None), 1.3, 0.1, ("met", "**missed**")),
        ((1.1, 1.2), 1.1, 0.1, ("**missed**", "met")),
        ((1.3, 1.5), 1.1, 3.0, ("provisional", "met")),
    ],
)
def test_a_target_is_met_by_the_whole_interval_on_a_quiet_machine(
    figures: Figures, ends: tuple[float | None, float | None], memory: float, load: float, words: tuple[str, str]
) -> None:
    changed = {name: told for name, told in copy.deepcopy(figures).items() if name not in GPU_PARTS}
    for name in ("alone", "pair"):
        changed[name]["environment"]["load_before"] = load
    changed["memory"] = [{"threads": threads, "megabytes": 1e3 * memory} for threads in (1, 2)]
    changed["alone"]["summary"]["training"]["ratio"] = {"median": 1.4, "low": ends[0], "high": ends[1]}
    lines = tables(changed)["targets"].splitlines()
    assert lines[2].endswith(f"| {words[0]} |")
    held = [line for line in lines if line.startswith("| memory of a trial")]
    assert [line.endswith(f"| {memory:.2f} GB | {words[1]} |") for line in held] == [True, True]
    assert [line.endswith("| – | **open** |") for line in lines[-len(GPU_PARTS) :]] == [True] * len(GPU_PARTS)


def test_the_plain_sides_of_masks_and_regions_are_right() -> None:
    """What is timed beside ours has the same outcome."""
    draw = torch.Generator().manual_seed(3)
    logits = torch.randn(2, 5, 6, 6, generator=draw).round()  # with ties
    labels = torch.randint(-1, 5, (2, 6, 6), generator=draw)
    counts, _ = SemanticSegmentation(5).judge(logits, labels)
    assert counts.tolist() == counts_by_loop(logits, labels).tolist()
    features, similarities = communities(3, 2), torch.rand(2, 9, 4, generator=draw)
    torch.testing.assert_close(loss_by_autograd(features, similarities), modularity_loss(features, similarities))
