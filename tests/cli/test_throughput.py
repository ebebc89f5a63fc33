"""`lape bench --throughput`: the suite's training loop against a timm-based one."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest

from suite.bench.throughput import matmul, measure
from suite.bench.throughput.crowd import Side, make_loop
from suite.bench.throughput.turns import LoopSetting, Task, Turn, take_turn
from suite.bench.throughput.workload import Workload
from tests.cli.shell import TINY, Shell
from tests.conftest import REPOSITORY


class Here:
    """A crowd of one in the test's own process. To start one for each side takes ten CPU-seconds."""

    def __init__(self, side: Side, workload: Workload, count: int) -> None:
        assert count == 1
        self._loop, self._workload = make_loop(side, workload), workload

    def __enter__(self) -> Here:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def turn(self, task: Task, setting: LoopSetting, batches: int) -> Turn:
        return take_turn(self._loop, task, setting, batches, self._workload.recipe.batch_size, self._workload.device)


@pytest.mark.parametrize("workers", [(0,), pytest.param((0, 1), marks=pytest.mark.slow)], ids=str)
def test_the_whole_path(lape: Shell, tmp_path: Path, workers: tuple[int, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    """By default in this process alone. The slow case has processes of its own, as the command does."""
    if workers == (0,):
        monkeypatch.setattr(measure, "Crowd", Here)
    monkeypatch.setattr(matmul, "SECONDS", 1e-6)  # a single product
    path = tmp_path / "throughput.json"
    (tmp_path / "short.yaml").write_text("{version: 1, epochs: 2, batch_size: 4, lr: 1e-3, mixup: 0.8}\n")
    model = ["--arch", "deit", *TINY, "--join", "lape", "--recipe", "short.yaml", "--dataset", "digits"]
    run = ["--rounds", "2", "--seconds", "0.05", "--threads", "1"]
    run += [part for number in workers for part in ("--workers", str(number))]
    out = lape("bench", "--throughput", *model, *run, "--device", "cpu", "--json", path)
    assert lape.code == 0, lape.err
    assert "deit, learnable, lape; digits; short.yaml, batch 4, fp32" in out
    for text in ("training step alone", "input pipeline alone", "per CPU second", "end to end", "of the matmul's"):
        assert text in out
    told = json.loads(path.read_text())
    assert told["data"] == {"name": "digits", "made_up": False, "num_classes": 10, "image_size": 8, "in_chans": 1}
    assert {"torch", "timm", "pillow", "processor", "threads", "commit"} <= set(told["environment"])
    assert told["model"]["training_flops_per_image"] == 6 * told["model"]["forward_macs"] > 0

    figures = ["step", "pipeline", "pipeline_per_core", "training"]
    assert list(told["summary"]) == figures
    first, second = ([(turn["figure"], turn["side"]) for turn in turns] for turns in told["rounds"])
    assert first == [(figure, side) for figure in figures for side in ("ours", "timm")]
    assert second == [(figure, side) for figure in figures for side in ("timm", "ours")]
    for turn in [*told["tried"], *(turn for turns in told["rounds"] for turn in turns)]:
        per_core = turn["figure"] == "pipeline_per_core"
        assert turn["images"] >= 16
        assert turn["images"] % 4 == 0
        seconds = turn["cpu_seconds" if per_core else "seconds"]
        assert turn["images_per_second"] == pytest.approx(turn["images"] / seconds)
        assert 0 < turn["images_per_second"] < 1e7
        assert turn["memory_mb"] > 50
    for figure, summary in told["summary"].items():
        rates = {
            side: [turn["images_per_second"] for turns in told["rounds"] for turn in turns
                   if (turn["figure"], turn["side"]) == (figure, side)]
            for side in ("ours", "timm")
        }  # fmt: skip
        for side, its in rates.items():
            assert summary[side]["images_per_second"]["median"] == pytest.approx(np.median(its))
        ratios = np.divide(rates["ours"], rates["timm"])
        assert summary["ratio"]["median"] == pytest.approx(np.median(ratios))
        assert summary["ratio"]["low"] == pytest.approx(min(ratios))
        assert summary["ratio"]["high"] == pytest.approx(max(ratios))
    for figure in ("step", "training"):
        for side in ("ours", "timm"):
            found = told["summary"][figure][side]
            reached = told["model"]["training_flops_per_image"] * found["images_per_second"]["median"]
            assert found["gflops"] == pytest.approx(reached / 1e9)
            assert found["share_of_matmul"] == pytest.approx(reached / np.median(told["matmul_flops_per_second"]))

    # timm's setting is the fastest of those that were tried.
    tried = [turn for turn in told["tried"] if turn["side"] == "timm"]
    settings = {"pipeline": 2 * len(workers), "training": len(workers)}
    for figure, count in settings.items():
        its = [turn for turn in tried if turn["figure"] == figure]
        assert len({json.dumps(turn["setting"]) for turn in its}) == len(its) == count
        best = max(its, key=lambda turn: turn["images_per_second"])
        assert told["summary"][figure]["timm"]["setting"] == best["setting"]


@pytest.mark.slow
def test_weights_that_a_recipe_starts_from_are_said_to_be_left_out(
    lape: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They aren't at hand here. What is timed doesn't depend on the weights' values."""
    monkeypatch.setattr(measure, "Crowd", Here)
    monkeypatch.setattr(matmul, "SECONDS", 1e-6)
    weights = f"pretrained: {{axis: join, weights: {{lape: {'ab' * 32}}}}}"
    (tmp_path / "tuned.yaml").write_text(f"{{version: 1, epochs: 2, batch_size: 4, lr: 1e-3, {weights}}}\n")
    run = ["--recipe", "tuned.yaml", "--rounds", "2", "--seconds", "0.05", "--threads", "1", "--workers", "0"]
    lape("bench", "--throughput", "--arch", "deit", *TINY, "--dataset", "digits", *run, "--device", "cpu")
    assert lape.code == 0, lape.err
    assert "note: the recipe's pretrained is left out: all weights are drawn, which takes the same time" in lape.err


def test_a_convolutional_network_has_its_own_norm(lape: Shell) -> None:
    model = ["--arch", "resnet_cifar", "--size", "blocks=1", "--size", "channels=2", "--dataset", "synthetic"]
    run = ["--recipe", "digits", "--rounds", "1", "--seconds", "0.1", "--workers", "0", "--threads", "1"]
    shutil.copytree(REPOSITORY / "grids", "grids")
    told = json.loads(lape("bench", "--throughput", *model, *run, "--json", "-"))
    assert lape.code == 0, lape.err
    assert told["model"].items() >= {"arch": "resnet_cifar", "pe": "none", "norm": "bn"}.items()
    assert told["summary"]["training"]["ratio"]["median"] > 0


@pytest.mark.slow
def test_side_by_side_on_made_up_pictures(lape: Shell) -> None:
    model = ["--arch", "deit", *TINY, "--recipe", "digits", "--dataset", "synthetic", "--image-size", "8"]
    run = ["--side-by-side", "2", "--threads", "2", "--rounds", "1", "--seconds", "0.1", "--workers", "0"]
    shutil.copytree(REPOSITORY / "grids", "grids")
    told = json.loads(lape("bench", "--throughput", *model, *run, "--json", "-"))
    assert lape.code == 0, lape.err
    assert told["data"]["made_up"]
    assert (told["data"]["image_size"], told["data"]["in_chans"]) == (8, 3)
    assert told["plan"]["side_by_side"] == 2
    assert {turn["setting"]["threads"] for turn in told["rounds"][0]} == {1}
    assert told["summary"]["step"]["ratio"]["low"] is None
    assert {turn["images"] % (2 * 32) for turn in told["rounds"][0]} == {0}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--recipe", "digit"], "did you mean 'digits'"),
        (["--recipe", "nowhere.yaml"], "no such file"),
        (["--dataset", "cifar10"], "'cifar10' is not prepared"),
        (["--dataset", "cifra10"], "did you mean 'cifar10'"),
        (["--device", "cuba"], "can't use the device"),
        (["--precision", "fp8"], "precision can't be used"),
        (["--arch", "deit_tniy"], "did you mean 'deit_tiny'"),
        (["--join", "lap"], "unknown join"),
        (["--arch", "resnet20", "--norm", "ln"], "choose norm bn, l2bn, l2bn_rms"),
        (["--arch", "vit_lite_2_4", "--pe", "none", "--join", "lape"], "nothing to join"),
        (["--arch", "deit_tiny", "--dataset", "digits"], "divisible by the patch size"),
        (["--dataset", "digits", "--batch-size", "1200"], "a batch larger than the data set"),
        (["--batch-size", "7"], "an even batch_size"),
        (["--seconds", "nan"], "a turn that is too short or too long"),
        (["--json", "/proc/nowhere/bench.json"], "can't write to the folder"),
        (["--treatment", "lape"], "options that are not for --throughput"),
        (["--csv", "-"], "options that are not for --throughput"),
        (["--dataset", "digits", "--classes", "3"], "options that are for --dataset synthetic alone"),
    ],
)
def test_bad_input(lape: Shell, arguments: list[str], message: str) -> None:
    shutil.copytree(REPOSITORY / "grids", "grids")
    assert message in lape.refuses("bench", "--throughput", *arguments)


def test_its_options_are_refused_without_it(lape: Shell) -> None:
    assert "--json" in lape.refuses("bench", "--json", "-", "--arch", "deit_tiny")


def test_without_timm_there_is_nothing_to_compare_with(lape: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "timm", None)  # as Python has what can't be imported
    assert "timm is not installed" in lape.refuses("bench", "--throughput")
