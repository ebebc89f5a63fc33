"""`lape inspect` of published files: which weights it takes and says that it took, and files that can't be trusted."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from suite.cli.commands.inspect import Published, inspect_checkpoint
from suite.errors import InputError
from suite.models import create_model
from suite.models.architectures import resolve_architecture
from suite.models.build import build_model
from suite.models.model_cell import ModelCell, Shape

SIZES = {"embed_dim": 12, "depth": 2, "num_heads": 2, "mlp_ratio": 1.0}


def state(seed: int) -> dict[str, torch.Tensor]:
    """Weights of a small T2T-ViT under the names of its release."""
    torch.manual_seed(seed)
    names = {
        "class_token": "cls_token",
        "position.tables.0": "pos_embed",
        "tokenizer.projection": "tokens_to_token.project",
        "tokenizer.performers.0": "tokens_to_token.attention1",
        "tokenizer.performers.1": "tokens_to_token.attention2",
        "features.weight": "w",
        "attention.": "attn.",
    }
    found = {}
    for name, value in create_model("t2t_vit", num_classes=3, image_size=64, **SIZES).state_dict().items():
        for ours, theirs in names.items():
            name = name.replace(ours, theirs)
        found[name] = value
    return found


def lines(path: Path, out: Path, **changes: Any) -> list[str]:
    published = Published(
        **{
            "source": "t2t-vit", "arch": "t2t_vit", "classes": 3, "image_size": 64,
            "sizes": tuple(f"{name}={value}" for name, value in SIZES.items()), **changes,
        }
    )  # fmt: skip
    return list(inspect_checkpoint(path, published, out, None, None))


def test_the_released_layout_is_read_and_its_weights_are_named(tmp_path: Path) -> None:
    """T2T-ViT's files have their weights under "state_dict_ema"."""
    checkpoint = {"epoch": 300, "metric": np.float64(71.7), "state_dict_ema": state(0)}
    torch.save(checkpoint, tmp_path / "a.pth.tar")
    alone = lines(tmp_path / "a.pth.tar", tmp_path / "out")
    assert alone[1] == "weights: those under 'state_dict_ema'"
    torch.save({**checkpoint, "state_dict": state(1)}, tmp_path / "a.pth.tar")
    both = lines(tmp_path / "a.pth.tar", tmp_path / "out")
    assert both[1] == "weights: those under 'state_dict_ema'; also there: 'state_dict' (choose by --weights-key)"
    raw = lines(tmp_path / "a.pth.tar", tmp_path / "out", weights_key="state_dict")
    assert raw[1].startswith("weights: those under 'state_dict';")
    assert alone[2:] == both[2:] != raw[2:]


def test_a_key_is_not_for_files_of_ours(tmp_path: Path) -> None:
    arch = resolve_architecture("deit", {**SIZES, "patch_size": 4})
    cell = ModelCell(arch, "learnable", "lape", "ln", Shape(3, 8, 1))
    about = {"trial_id": "\x1b[2J" * 9, "dataset": "\x1b]0;x\x07", "model": cell.values()}
    save_file(build_model(cell).state_dict(), tmp_path / "a.safetensors", {"lape": json.dumps(about)})
    told = list(inspect_checkpoint(tmp_path / "a.safetensors", Published(), tmp_path / "out", None, None))
    assert all(line.isprintable() for line in told)
    with pytest.raises(InputError, match="this file says itself which model it holds"):
        list(inspect_checkpoint(tmp_path / "a.safetensors", Published(weights_key="x"), tmp_path, None, None))
