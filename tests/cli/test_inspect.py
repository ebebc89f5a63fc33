"""`lape inspect`: weights of a file, drawn and printed."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open

from suite.grid.grid import load_grid
from suite.models.architectures import resolve_architecture
from suite.models.build import build_model
from suite.models.model_cell import ModelCell, Shape
from suite.models.weights.checkpoint import write_checkpoint
from tests.cli.shell import Shell, Write
from tests.conftest import REPOSITORY


@pytest.fixture
def ours(lape: Shell, write_grid: Write, tmp_path: Path) -> dict[str, Path]:
    """Weights by PE and joining method, untrained."""
    path = write_grid(
        ("[learnable]", "[learnable, none, rpe2d]"), ("[0, 1]", "[0]"), ("seeds:", "impossible: drop\nseeds:")
    )
    files = {}
    for trial in load_grid(path).expand().trials:
        file = files[f"{trial.pe} {trial.join}"] = tmp_path / f"{trial.pe}-{trial.join}.safetensors"
        write_checkpoint(file, build_model(trial.model), trial.model, dataset="digits", trial_id=trial.id)
    return files


def test_a_file_of_ours_says_itself_what_it_is(lape: Shell, ours: dict[str, Path], tmp_path: Path) -> None:
    out = lape("inspect", ours["learnable lape"])
    assert lape.code == 0, lape.err
    assert "tiny · learnable · lape · digits · trial " in out
    assert [line[:7] for line in out.splitlines() if line.startswith("layer")] == ["layer 1", "layer 2"]
    assert "Eq. 11" in out
    assert "hold only approximately" not in out
    folder = tmp_path / "reports" / "inspect" / "learnable-lape"
    names = {"matrices.png", "matrices.svg", "maps.png", "maps.svg", "matrices.npz"}
    assert {file.name for file in folder.iterdir()} == names
    assert all(f"reports/inspect/learnable-lape/{name}" in out for name in names)
    assert (folder / "maps.png").read_bytes().startswith(b"\x89PNG")
    matrices = np.load(folder / "matrices.npz")
    assert set(matrices) == {"correlation_layer_1", "correlation_layer_2"}
    assert matrices["correlation_layer_1"].shape == (4, 4)
    before = {name: (folder / name).read_bytes() for name in names}
    lape("inspect", ours["learnable lape"])
    assert before == {name: (folder / name).read_bytes() for name in names}
    lape("inspect", ours["learnable lape"], "--token", "0,1", "--out", "token")
    lape("inspect", ours["learnable lape"], "--low=0.5", "--out", "low")
    assert (tmp_path / "token" / "maps.png").read_bytes() != before["maps.png"]
    assert (tmp_path / "token" / "matrices.png").read_bytes() == before["matrices.png"]
    assert (tmp_path / "low" / "matrices.png").read_bytes() != before["matrices.png"]


def test_it_is_said_where_the_papers_formula_is_only_approximate(lape: Shell, ours: dict[str, Path]) -> None:
    out = lape("inspect", ours["learnable default"])
    assert "Eq. 6–7 as printed hold only approximately here" in out
    assert "Eq. 11" not in out


def test_a_relative_position_is_drawn_as_a_bias(lape: Shell, ours: dict[str, Path], tmp_path: Path) -> None:
    out = lape("inspect", ours["rpe2d default"], "--out", "here")
    assert lape.code == 0, lape.err
    assert {file.name for file in (tmp_path / "here").iterdir()} == {"bias.png", "bias.svg", "matrices.npz"}
    assert "neighbours" not in out


def test_tokens_of_a_model_in_stages(lape: Shell, tmp_path: Path) -> None:
    """A token is of the first stage; windows have no such token, and are drawn around their own centre."""
    size = {"embed_dim": 8, "depth": (1, 1), "num_heads": (1, 1), "mlp_ratio": 1.0, "patch_size": 1}
    architecture = resolve_architecture("swin", {**size, "window_size": 2})
    cell = ModelCell(architecture, "learnable+rpe2d", "default", "ln", Shape(3, 8, 1))
    write_checkpoint(tmp_path / "a.safetensors", build_model(cell), cell, dataset="digits", trial_id="")
    out = lape("inspect", "a.safetensors", "--token", "7,7")
    assert lape.code == 0, lape.err
    assert "stage 2, layer 1" in out
    assert {"maps.png", "bias.png"} <= {file.name for file in (tmp_path / "reports" / "inspect" / "a").iterdir()}


def test_a_published_checkpoint_needs_its_model_named(lape: Shell, tmp_path: Path) -> None:
    with safe_open(REPOSITORY / "tests" / "golden" / "deit-learnable-lape.safetensors", "pt") as file:
        about, names = file.metadata(), [name for name in file.keys() if name.startswith("state.")]  # noqa: SIM118
        state = {name.removeprefix("state."): file.get_tensor(name) for name in names}
    torch.save({"model": state}, "published.pth")
    sizes = ("patch_size", "embed_dim", "depth", "num_heads", "mlp_ratio", "qkv_bias", "norm_eps")
    named = ["--arch", "deit", "--classes", about["num_classes"], "--image-size", about["image_size"]]
    named += [part for size in sizes for part in ("--set", f"{size}={about[size]}")]
    source = ("--source", "lape-deit")

    def refused(*options: str) -> str:
        return lape.refuses("inspect", "published.pth", *options)

    out = lape("inspect", "published.pth", *source, *named, "--join", "lape")
    assert lape.code == 0, lape.err
    assert "deit · learnable · lape" in out
    assert len([line for line in out.splitlines() if line.startswith("layer")]) == int(about["depth"])
    assert (tmp_path / "reports" / "inspect" / "published" / "maps.png").is_file()
    assert "--source not given" in refused(*named)
    assert "blocks.0.pe_norm.weight" in refused(*source, *named)
    assert "did you mean 'lape-deit'" in refused("--source", "lape_deit", *named, "--join", "lape")
    assert "did you mean 'deit'" in refused(*source, "--arch", "dite")
    assert "a key and a value" in refused(*source, *named, "--set", "depth")


def test_bad_input(lape: Shell, ours: dict[str, Path], tmp_path: Path) -> None:
    one = ours["learnable lape"]
    assert "no such checkpoint" in lape.refuses("inspect", "nothing.pth")
    assert "says itself which model it holds" in lape.refuses("inspect", one, "--join", "default")
    assert "no position embedding" in lape.refuses("inspect", ours["none default"])
    for token in ("2,0", "0", "a,b", "-1,0", "0,1,0"):
        assert "ROW,COLUMN from 0,0 to 1,1" in lape.refuses("inspect", one, f"--token={token}")
    assert not (tmp_path / "reports").exists()

    options = ("--source", "lape-deit", "--arch", "deit_tiny")
    text = tmp_path / "text.pth"
    text.write_text("no checkpoint at all")
    assert "damaged, or no checkpoint" in lape.refuses("inspect", text, *options)
    code = tmp_path / "code.pth"
    torch.save({"model": os.getcwd}, code)
    assert "would run" in lape.refuses("inspect", code, *options)
    (tmp_path / "occupied").write_text("")
    assert "can't write" in lape.refuses("inspect", one, "--out", tmp_path / "occupied" / "here")
