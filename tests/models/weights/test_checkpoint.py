"""Weights of our own: what was written is read again, and says what it is."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from suite.errors import InputError
from suite.models.architectures import resolve_architecture
from suite.models.build import build_model
from suite.models.families.transformer import Transformer
from suite.models.model_cell import ModelCell, Shape
from suite.models.weights.checkpoint import read_checkpoint, write_checkpoint

ID = "0123456789abcdef"
BODY: dict[str, Any] = {"embed_dim": 12, "depth": 2, "num_heads": 2, "mlp_ratio": 1.5}
DEIT = ModelCell(resolve_architecture("deit", {**BODY, "patch_size": 4}), "sin2d", "lape", "ln", Shape(3, 8, 1))
SWIN = ModelCell(
    resolve_architecture(
        "swin", {**BODY, "depth": (1, 1), "num_heads": (2, 2), "patch_size": 2, "window_size": 2}, label="little"
    ),
    "learnable+rpe2d", "default", "ln", Shape(3, 8, 2),
)  # fmt: skip
CEIT = ModelCell(
    resolve_architecture("ceit", {**BODY, "patch_size": 2}), "learnable", "lape_shared", "ln", Shape(3, 16, 1)
)


def trained(cell: ModelCell) -> Transformer:
    """A model whose every value is random: parameters, frozen tables and running statistics."""
    model = build_model(cell)
    generator = torch.Generator().manual_seed(3)
    for value in model.state_dict().values():
        if value.is_floating_point():
            value.copy_(torch.rand(value.shape, generator=generator))
        else:
            value.fill_(7)
    return model


@pytest.mark.parametrize("cell", [DEIT, SWIN, CEIT], ids=["deit", "swin", "ceit"])
def test_what_was_written_is_read_again(tmp_path: Path, cell: ModelCell) -> None:
    model, path = trained(cell), tmp_path / "new" / "a.safetensors"
    write_checkpoint(path, model, cell, dataset="digits", trial_id=ID)
    assert [file.name for file in path.parent.iterdir()] == ["a.safetensors"]  # nothing temporary is left
    read = read_checkpoint(path)
    assert read is not None
    assert (read.cell, read.dataset, read.trial_id) == (cell, "digits", ID)
    state = model.state_dict()
    assert read.model.state_dict().keys() == state.keys()
    assert all(torch.equal(value, state[name]) for name, value in read.model.state_dict().items())
    images = torch.rand(2, cell.shape.in_chans, cell.shape.image_size, cell.shape.image_size)
    assert torch.equal(read.model.eval()(images), model.eval()(images))


def test_frozen_tables_and_buffers_are_there_and_the_metadata_say_what_they_are(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    write_checkpoint(path, trained(DEIT), DEIT, dataset="digits", trial_id=ID)
    with safe_open(path, "pt") as file:
        assert "position.tables.0" in file.keys()  # noqa: SIM118
        about = json.loads(file.metadata()["lape"])
    assert about["trial_id"] == ID
    architecture = about["model"].pop("architecture")
    assert architecture == {"name": "deit", **DEIT.arch.canonical()}
    shape = {"num_classes": 3, "image_size": 8, "in_chans": 1}
    assert about["model"] == {"pe": "sin2d", "join": "lape", "norm": "ln", **shape}
    write_checkpoint(path, trained(CEIT), CEIT, dataset="digits", trial_id=ID)
    with safe_open(path, "pt") as file:
        assert "blocks.0.mlp.norm1.running_var" in file.keys()  # noqa: SIM118


def test_files_of_others_are_none_of_ours(tmp_path: Path) -> None:
    tensors = {"a": torch.rand(2, 3)}
    torch.save(tensors, tmp_path / "bare.pth")
    save_file(tensors, tmp_path / "other.safetensors")
    assert read_checkpoint(tmp_path / "bare.pth") is read_checkpoint(tmp_path / "other.safetensors") is None


def test_no_file(tmp_path: Path) -> None:
    for path, found in ((tmp_path / "a.safetensors", "nothing"), (tmp_path, "a folder")):
        with pytest.raises(InputError, match=rf"(?s)no such checkpoint.*found: *{found}"):
            read_checkpoint(path)


def test_a_damaged_file_of_ours(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    write_checkpoint(path, trained(DEIT), DEIT, dataset="digits", trial_id=ID)
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(InputError, match="file of weights is damaged"):
        read_checkpoint(path)


def test_weights_that_are_not_those_of_the_description(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    write_checkpoint(path, trained(DEIT), replace(DEIT, join="default"), dataset="digits", trial_id=ID)
    with pytest.raises(InputError, match="don't fit the model that it describes") as caught:
        read_checkpoint(path)
    assert str(path) in str(caught.value)
    model = '"model": {"architecture": {"name": "x", "family": "deit"}}'
    for nonsense in ("{}", "[]", '"x"', "{", f"{{{model}}}", f'{{{model}, "trial_id": "a"}}', '{"model": "x"}'):
        save_file({"a": torch.zeros(1)}, path, {"lape": nonsense})
        with pytest.raises(InputError):
            read_checkpoint(path)


def test_a_model_that_this_version_does_not_know(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    write_checkpoint(path, trained(DEIT), replace(DEIT, pe="unheard_of"), dataset="digits", trial_id=ID)
    with pytest.raises(InputError, match="unknown pe 'unheard_of'") as caught:
        read_checkpoint(path)
    assert str(path) in str(caught.value)


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(InputError, match="can't write"):
        write_checkpoint(tmp_path / "file" / "a.safetensors", trained(DEIT), DEIT, dataset="digits", trial_id=ID)
