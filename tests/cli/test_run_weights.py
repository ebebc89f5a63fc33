"""`lape run --keep-weights` and `lape rerun --weights`."""

from __future__ import annotations

from pathlib import Path

import torch

from suite.data.images import ArrayImages, load_images
from suite.grid.grid import load_grid
from suite.models.weights.checkpoint import read_checkpoint
from suite.store.folder import Store
from suite.store.record import unpack_bits
from tests.cli.shell import Shell, Write
from tests.records import lines

ONE_SEED = ("[0, 1]", "[0]")  # two trials


def test_weights_are_kept_on_demand_and_change_nothing(lape: Shell, write_grid: Write, tmp_path: Path) -> None:
    path = write_grid(ONE_SEED)
    assert "weights" not in lape("run", path, "--executor", "serial", "--results", "without")
    assert not (tmp_path / "without" / "small" / "weights").exists()
    out = lape("run", path, "--executor", "serial", "--keep-weights")
    assert (lape.code, "weights of 2 runs: results/small/weights" in out) == (0, True)
    files = {file.name for file in (tmp_path / "results" / "small" / "weights").iterdir()}
    assert files == {f"{trial.id}.safetensors" for trial in load_grid(path).expand().trials}
    one, other = (lines(tmp_path / name / "small" / "runs.jsonl") for name in ("without", "results"))
    assert one == other


def test_they_are_those_that_the_record_speaks_of(
    lape: Shell, write_grid: Write, tmp_path: Path, data_folder: Path
) -> None:
    """The model that is read again is right about the same test images."""
    path = write_grid(ONE_SEED, ("epochs: 2", "epochs: 4"))
    lape("run", path, "--executor", "serial", "--keep-weights")
    trial = load_grid(path).expand().trials[1]
    store = Store(tmp_path / "results" / "small")
    record, kept = store.records()[trial.id], read_checkpoint(store.weights(trial.id))
    assert kept is not None
    assert (kept.trial_id, kept.cell.join, kept.dataset) == (trial.id, "lape", "digits")
    images = load_images(trial.dataset, "test", data_folder).to(torch.device("cpu"))
    assert isinstance(images, ArrayImages)
    pixels = images.pixels.permute(0, 3, 1, 2).float() / 255
    normalised = (pixels - torch.tensor(trial.dataset.mean)) / torch.tensor(trial.dataset.std)
    with torch.no_grad():
        right = kept.model.eval()(normalised).argmax(1) == images.labels
    assert right.tolist() == unpack_bits(record.correct or "", record.test_images or 0).tolist()


def test_weights_that_cannot_be_written_lose_no_record(lape: Shell, write_grid: Write, tmp_path: Path) -> None:
    (tmp_path / "results" / "small").mkdir(parents=True)
    (tmp_path / "results" / "small" / "weights").write_text("a file where the folder should be")
    out = lape("run", write_grid(ONE_SEED), "--executor", "serial", "--keep-weights")
    assert lape.code == 0, lape.err
    assert {run["status"] for run in lines(tmp_path / "results" / "small" / "runs.jsonl")} == {"done"}
    assert "2 runs have no weights there" in out


def test_runs_without_weights_are_named(lape: Shell, write_grid: Write) -> None:
    path = write_grid(ONE_SEED)
    lape("run", path, "--executor", "serial", "--limit", "1")
    out = lape("run", path, "--executor", "serial", "--keep-weights")
    assert "weights of 1 run:" in out
    assert f"1 run has no weights there, {load_grid(path).expand().trials[0].id} for instance" in out


def test_one_trial_again(lape: Shell, write_grid: Write, tmp_path: Path) -> None:
    path = write_grid(ONE_SEED)
    trial = load_grid(path).expand().trials[1]
    lape("run", path, "--executor", "serial", "--keep-weights")
    out = lape("rerun", trial.id, "--grid", path, "--weights", "again.safetensors")
    assert "the same" in out
    assert "weights: again.safetensors" in out
    kept = tmp_path / "results" / "small" / "weights" / f"{trial.id}.safetensors"
    assert (tmp_path / "again.safetensors").read_bytes() == kept.read_bytes()
    assert "call it a.safetensors" in lape.refuses("rerun", trial.id, "--grid", path, "--weights", "a.pth")


def test_of_two_grids_with_the_trial_the_one_with_its_record_is_meant(
    lape: Shell, write_grid: Write, tmp_path: Path
) -> None:
    (tmp_path / "grids").mkdir()
    write_grid(("name: small", "name: early"), ONE_SEED, name="grids/early.yaml")
    path = write_grid(ONE_SEED, name="grids/small.yaml")
    trial = load_grid(path).expand().trials[0]
    lape("run", path, "--executor", "serial", "--limit", "1")
    assert "the same" in lape("rerun", trial.id)
    assert not (tmp_path / "results" / "early").exists()
