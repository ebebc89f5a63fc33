"""Segmentation from the command line: made-up scenes prepared, planned, trained, judged, reported and run again."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from suite.store.folder import Store
from suite.store.frames import load_frame
from suite.store.segmentation import class_ious, mean_iou, pixel_accuracy, unpack_pixel_counts
from tests.cli.shell import Shell
from tests.scenes import CLASSES, save_mask, write_voc

SETTINGS = f"classes={CLASSES}"
GRID = """
name: scenes
description: made-up scenes
seeds: [0, 1, 2]
recipe: {base: digits, epochs: 6, test_every: 3, batch_size: 8, label_smoothing: 0.0, weight_decay: 0.05, flip: true,
         crop_padding: 1}
claims: [claims.yaml]
architectures:
  small: {family: segmenter, patch_size: 4, embed_dim: 16, depth: 2, num_heads: 2, mlp_ratio: 2, mask_layers: 1}
axes:
  arch: [small]
  pe: [learnable]
  join: [default, lape]
  norm: [ln]
  dataset: [scenes]
"""
CLAIMS = """
paper: LaPE
version: ICCV 2023
table: "4"
evidence: printed_table
test: {alpha: 0.05, margin_share: "0.5", side: greater, min_pairs: 3}
claims:
  - id: scenes-miou
    row: made-up scenes
    kind: analogue
    published_for: another data set
    contrast:
      axis: join
      baseline: default
      treatment: lape
      match: {arch: small, pe: learnable, norm: ln, loss: default, dataset: scenes}
    metric: miou
    claimed_gain: 1.37
"""


@pytest.fixture
def grid(tmp_path: Path, lape: Shell, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A grid that declares the scenes as `lape data prepare` prints it."""
    monkeypatch.setenv("LAPE_DATA", str(tmp_path / "data"))
    folder = write_voc(tmp_path / "voc", train=32, test=12)
    out = lape("data", "prepare", "scenes", "--from", folder, "--image-size", "16", "--segmentation", SETTINGS)
    assert lape.code == 0, lape.err
    assert "scenes: 32 + 12 images with masks, 16×16×3, 3 classes" in out
    (tmp_path / "scenes.yaml").write_text(GRID + out[out.index("task: segmentation") :])
    (tmp_path / "claims.yaml").write_text(CLAIMS)
    return tmp_path / "scenes.yaml"


@pytest.mark.slow
def test_a_grid_is_run_judged_and_reported(grid: Path, lape: Shell, tmp_path: Path) -> None:
    assert "0 failed, 6 to do" in lape("plan", grid), lape.err
    lape("run", grid, "--executor", "serial")
    assert lape.code == 0, lape.err
    records = list(Store(tmp_path / "results" / "scenes").records().values())
    assert [record.status for record in records] == ["done"] * 6
    for record in records:
        assert record.correct is None
        assert record.test_images == 12
        counts = unpack_pixel_counts(record.pixel_counts or "", 12, CLASSES)
        assert record.class_iou == class_ious(counts)
        assert record.miou == mean_iou(class_ious(counts))
        assert record.top1 == pixel_accuracy(counts)
        assert counts[:, 1].sum() == 12 * 256  # the scenes' corner is ignored, and cut away
        assert record.miou > 45  # sky and ground are learnt at once
    frame = load_frame(tmp_path / "results" / "scenes")
    assert sorted(frame["miou"]) == sorted(record.miou or 0.0 for record in records)

    tables = lape("tables", grid)
    assert "Segmentation" in tables
    assert "Pixel accuracy is the share of labelled pixels that are correct" in " ".join(tables.split())
    assert "Top-1" not in tables
    means = pd.read_csv(tmp_path / "reports/scenes/tables/segmentation.csv").set_index("join")
    gain = means["miou_mean"]["lape"] - means["miou_mean"]["default"]
    assert means["gain"]["lape"] == pytest.approx(gain)
    (verdict,) = json.loads(lape("verify", grid, "--json"))
    assert verdict["claim"]["metric"] == "miou"
    evidence = verdict["evidence"]
    assert evidence["gain"] == pytest.approx(gain)
    assert evidence["test_images"] == 12
    assert evidence["crossed_low"] < evidence["gain"] < evidence["crossed_high"]
    assert len(evidence["p_mcnemar"]) == 3
    lape("report", grid)
    page = (tmp_path / "reports/scenes/index.html").read_text()
    assert '<h2 id="segmentation">Segmentation</h2>' in page
    assert "mean intersection over union (mIoU)" in page
    assert "Images that add more, less to the mIoU; sign test" in page
    assert "One test image is" not in page


@pytest.mark.slow
def test_a_run_is_repeated_bit_by_bit(grid: Path, lape: Shell, tmp_path: Path) -> None:
    lape("run", grid, "--executor", "serial", "--seeds", "1")
    assert lape.code == 0, lape.err
    record = next(iter(Store(tmp_path / "results" / "scenes").records().values()))
    lape("rerun", record.trial_id, "--grid", grid)
    assert lape.code == 0, lape.err


@pytest.mark.slow
def test_changed_counts_are_found(grid: Path, lape: Shell, tmp_path: Path) -> None:
    """A record whose pixel counts aren't those of its numbers is refused, and named."""
    lape("run", grid, "--executor", "serial", "--seeds", "1")
    path = tmp_path / "results/scenes/runs.jsonl"
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    lines[0]["pixel_counts"] = lines[1]["pixel_counts"]
    path.write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    message = lape.refuses("verify", grid)
    assert "the numbers of a segmentation aren't those of its pixel counts" in message
    assert lines[0]["trial_id"] in message


def test_bad_input_is_one_message(tmp_path: Path, lape: Shell) -> None:
    folder = write_voc(tmp_path / "voc")
    command = ["data", "prepare", "mine", "--from", folder, "--data", tmp_path / "data"]
    sized = [*command, "--image-size", "16"]
    assert "no --image-size" in lape.refuses(*command, "--segmentation", SETTINGS)
    assert "found:      no classes" in lape.refuses(*sized, "--segmentation", "train=train")
    assert "no other option than --from" in lape.refuses(*sized, "--segmentation", SETTINGS, "--sound", "x=1")
    assert "no other option than --from" in lape.refuses(*sized, "--segmentation", SETTINGS, "--split", "folders")
    assert "--storage folder" in lape.refuses(*sized, "--segmentation", SETTINGS, "--storage", "folder")
    built_in = ["data", "prepare", "digits", "--from", folder, "--image-size", "16", "--segmentation", SETTINGS]
    assert "with --segmentation, a new name" in lape.refuses(*built_in)
    save_mask(np.full((16, 24), 9, dtype=np.uint8), folder / "SegmentationClass/scene1.png")
    assert "a mask has values of no class" in lape.refuses(*sized, "--segmentation", SETTINGS)
    assert not (tmp_path / "data/mine").exists()


def test_training_steps_are_timed_on_made_up_masks(lape: Shell) -> None:
    small = ["--size", "patch_size=4", "--size", "embed_dim=8", "--size", "depth=2", "--size", "num_heads=2"]
    command = ["bench", "--arch", "segmenter", *small, "--size", "mlp_ratio=1", "--image-size", "8", "--classes", "3",
               "--batch-size", "4", "--rounds", "2"]  # fmt: skip
    assert "training" in lape(*command)
    assert lape.code == 0, lape.err
    losses = [*command, "--axis", "loss", "--baseline", "default", "--treatment", "focal"]
    assert "loss focal is of whole images" in lape.refuses(*losses)
    assert "timm's loop classifies images" in lape.refuses("bench", "--throughput", "--arch", "segmenter_tiny_16")
