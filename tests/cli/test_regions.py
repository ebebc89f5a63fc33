"""Grouping into regions from the command line: prepared, planned, run, resumed, judged, reported and run again."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest
import timm
import torch

from suite.models.weights.checkpoint import read_checkpoint
from suite.store.folder import Store
from suite.store.regions import means, unpack_measures
from suite.store.task_fields import OF_REGIONS
from suite.train.snapshot import Snapshots
from tests.cli.shell import Shell
from tests.grid.test_regions import BACKBONE, GRID
from tests.grouped_photographs import write_photographs
from tests.records import lasting
from tests.train.test_backbones import write_weights

SPLITS = "train=val,test=test"
CLAIMS = """
paper: DCN
version: CVPR 2023
table: regions
evidence: second_hand
test: {alpha: 0.05, margin_share: "0.5", side: greater, min_pairs: 2}
claims:
  - id: photographs
    row: made-up photographs
    kind: analogue
    published_for: other data
    contrast:
      axis: arch
      baseline: kmeans
      treatment: dcn
      match: {pe: learnable, join: default, norm: ln, loss: default, dataset: photographs}
    metric: variation_of_information
    claimed_gain: 0.5
"""


@pytest.fixture
def grid(tmp_path: Path, lape: Shell, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A grid with the data and the weights as the commands print them."""
    monkeypatch.setenv("LAPE_DATA", str(tmp_path / "data"))
    folder = write_photographs(tmp_path / "bsds")
    out = lape("data", "prepare", "photographs", "--from", folder, "--image-size", "16", "--regions", SPLITS)
    assert lape.code == 0, lape.err
    assert "photographs: 6 + 4 images with regions, 16×16×3, up to 2 annotations" in out
    declared = out[out.index("datasets:") :]
    shown = lape("data", "backbone", "--from", write_weights(tmp_path / "kept.safetensors"))
    assert "vit_lite, of made_up" in shown
    checksum = shown.split("backbone_sha256: ")[1].split()[0]
    text = GRID.replace(BACKBONE, checksum)
    text = text[: text.index("datasets:")] + declared + text[text.index("axes:") :] + "claims: [claims.yaml]\n"
    (tmp_path / "regions.yaml").write_text(text)
    (tmp_path / "claims.yaml").write_text(CLAIMS)
    return tmp_path / "regions.yaml"


def test_a_grid_is_run_judged_and_reported(grid: Path, lape: Shell, tmp_path: Path) -> None:
    assert "0 failed, 4 to do" in lape("plan", grid), lape.err
    lape("run", grid, "--executor", "serial")
    assert lape.code == 0, lape.err
    records = list(Store(tmp_path / "results" / "regions").records().values())
    assert [record.status for record in records] == ["done"] * 4
    for record in records:
        assert record.correct is None
        found = means(unpack_measures(record.region_measures or "", 4))
        assert tuple(getattr(record, name) for name in OF_REGIONS[:-1]) == found
        assert record.top1 == record.covering
        assert record.epochs == (4 if record.arch == "dcn" else 1)
        assert record.macs
        assert record.macs > 10_000
    tables = " ".join(lape("tables", grid).split())
    assert "Covering (%)" in tables
    assert "The other measures of regions are in a table of their own" in tables
    assert "VoI (bits)" in tables
    table = pd.read_csv(tmp_path / "reports/regions/tables/regions.csv").set_index("arch")
    (verdict,) = json.loads(lape("verify", grid, "--json"))
    assert "+0.50 bits" in lape("verify", grid)
    gain = table["variation_of_information_mean"]["kmeans"] - table["variation_of_information_mean"]["dcn"]
    assert verdict["evidence"]["gain"] == pytest.approx(gain)
    assert verdict["evidence"]["test_images"] == 4
    assert "bits less variation of information" in verdict["sentence"]
    lape("report", grid)
    page = (tmp_path / "reports/regions/index.html").read_text()
    assert '<h2 id="regions">Regions</h2>' in page
    assert "One test image is" not in page
    for arch in ("dcn", "kmeans"):
        again = next(record for record in records if record.arch == arch)
        lape("rerun", again.trial_id, "--grid", grid)
        assert lape.code == 0, lape.err


def test_a_killed_run_goes_on_to_the_same_record(
    grid: Path, lape: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The run is stopped after two epochs of four, and resumes from its snapshot."""
    only = ["--executor", "serial", "--set", "axes.arch=[dcn]", "--seeds", "1"]
    lape("run", grid, *only, "--results", tmp_path / "whole")
    assert lape.code == 0, lape.err
    offer, offered = Snapshots.offer, []

    def offer_and_stop(self: Snapshots, *values: object) -> None:
        offer(self, *values)  # type: ignore[arg-type]
        offered.append(1)
        if len(offered) == 2:
            raise KeyboardInterrupt

    run = ["run", grid, *only, "--results", tmp_path / "stopped", "--snapshot-epochs", "1"]
    with monkeypatch.context() as patch:
        patch.setattr(Snapshots, "offer", offer_and_stop)
        lape(*run)
    assert not Store(tmp_path / "stopped" / "regions").records()
    lape(*run)
    assert lape.code == 0, lape.err
    (whole,), (resumed,) = (
        list(Store(tmp_path / folder / "regions").records().values()) for folder in ("whole", "stopped")
    )
    assert lasting(resumed) == lasting(whole)


def test_missing_weights_are_told_before_a_run(grid: Path, lape: Shell, tmp_path: Path) -> None:
    for path in (tmp_path / "data" / "backbones").iterdir():
        path.unlink()
    message = lape.refuses("run", grid, "--executor", "serial")
    assert "the weights of the frozen backbone are not prepared" in message
    assert "lape data backbone --from FILE" in message
    assert not (tmp_path / "results/regions/runs.jsonl").exists()


def test_changed_measures_are_found(grid: Path, lape: Shell, tmp_path: Path) -> None:
    lape("run", grid, "--executor", "serial", "--set", "axes.arch=[kmeans]")
    path = tmp_path / "results/regions/runs.jsonl"
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    lines[0]["rand_index"] -= 1
    path.write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    message = lape.refuses("verify", grid)
    assert "the means of a run's regions aren't those of its images" in message
    assert lines[0]["trial_id"] in message


def test_bad_input_is_one_message(tmp_path: Path, lape: Shell) -> None:
    folder = write_photographs(tmp_path / "bsds")
    command = ["data", "prepare", "mine", "--from", folder, "--data", tmp_path / "data"]
    sized = [*command, "--image-size", "16"]
    assert "no --image-size" in lape.refuses(*command, "--regions", SPLITS)
    assert "found:      no test" in lape.refuses(*sized, "--regions", "train=val")
    assert "no other option than --from" in lape.refuses(*sized, "--regions", SPLITS, "--sound", "x=1")
    both = [*sized, "--regions", SPLITS, "--segmentation", "classes=2"]
    assert "no other option than --from" in lape.refuses(*both)
    assert "no images/train of BSDS500" in lape.refuses(*sized, "--regions", "train=train,test=test")
    assert "there is no such checkpoint" in lape.refuses("data", "backbone", "--from", tmp_path / "nothing")
    assert "backbones" in lape.refuses("data", "prepare", "backbones", "--from", folder, "--image-size", "8")
    assert not (tmp_path / "data/mine").exists()


def test_training_steps_are_timed_on_made_up_regions(lape: Shell) -> None:
    sizes = ("patch_size=4", "embed_dim=8", "depth=1", "num_heads=2", "mlp_ratio=1", "grouping=kmeans", "regions=2")
    small = [text for one in sizes for text in ("--size", one)]
    made_up = ["--image-size", "8", "--classes", "2", "--batch-size", "4", "--rounds", "2"]
    command = ["bench", "--arch", "regions_lite", *small, *made_up]
    assert "training" in lape(*command)
    assert lape.code == 0, lape.err
    assert "timm's loop classifies images" in lape.refuses("bench", "--throughput", "--arch", "dcn_lite_4_4")


@pytest.mark.parametrize(
    ("given", "found"), [((), "neither"), (("vit_small_patch16_224.dino", "--from", "weights.pth"), "both")]
)
def test_a_backbone_comes_from_one_place(lape: Shell, given: tuple[str, ...], found: str) -> None:
    assert found in lape.refuses("data", "backbone", *given)


def test_a_backbone_of_timm_needs_an_architecture_and_a_network(
    lape: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As with HF_HUB_OFFLINE=1, which the hub's client reads when it is imported."""
    name = "vit_small_patch16_224.dino"
    assert "--arch deit_small" in lape.refuses("data", "backbone", name, "--data", tmp_path)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    told = lape.refuses("data", "backbone", name, "--arch", "deit_small", "--data", tmp_path)
    assert "can't be downloaded" in told
    assert "lape data backbone --from FILE --arch deit_small" in told
    assert "has no model" in lape.refuses("data", "backbone", "vit_smal", "--arch", "deit_small", "--data", tmp_path)


def test_a_backbone_of_timm_is_converted(lape: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the weights that timm would download drawn in their place."""
    made = timm.create_model("vit_tiny_patch16_224", img_size=32)
    monkeypatch.setattr(timm, "create_model", lambda name, pretrained: made)
    out = lape("data", "backbone", "vit_tiny_patch16_224.augreg_in21k", "--arch", "deit_tiny", "--data", tmp_path)
    assert lape.code == 0, lape.err
    (file,) = (tmp_path / "backbones").iterdir()
    assert file.stem in out
    kept = read_checkpoint(file)
    assert kept is not None
    assert torch.equal(kept.model.state_dict()["class_token"], made.cls_token)
