"""Weights of frozen backbones: added to the data root, found by their checksum, and refused where they don't fit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import timm
import torch

from suite.data.cache import BACKBONES
from suite.errors import InputError
from suite.grid.trial import Trial
from suite.models import create_model
from suite.models.architectures import resolve_architecture
from suite.models.model_cell import ModelCell, Shape
from suite.models.regions.backbone import read_backbone
from suite.models.weights.checkpoint import write_checkpoint
from suite.train.backbones import add_backbone, backbone_declaration, load_backbone
from tests.grid.test_regions import BACKBONE, expanded

BODY: dict[str, Any] = {"patch_size": 4, "embed_dim": 16, "depth": 2, "num_heads": 2, "mlp_ratio": 2}


def write_weights(path: Path, family: str = "vit_lite", pe: str = "learnable", **changes: Any) -> Path:
    """The weights of a small classifier of images of 8 × 8 pixels, as `lape run --keep-weights` writes them."""
    torch.manual_seed(0)
    arch = resolve_architecture(family, {**BODY, **changes})
    model = create_model(arch, pe=pe, num_classes=3, image_size=8)
    cell = ModelCell(arch, pe, "default", "ln", Shape(3, 8))
    write_checkpoint(path, model, cell, dataset="made_up", trial_id="0" * 16)
    return path


def trial(folder: Path, checksum: str) -> Trial:
    return expanded(folder, (BACKBONE, checksum))[0]


def refusal(folder: Path, checksum: str) -> str:
    with pytest.raises(InputError) as caught:
        load_backbone(trial(folder, checksum), folder)
    (problem,) = caught.value.problems
    assert problem.where
    assert problem.fix
    return str(caught.value)


def test_weights_are_added_and_found(tmp_path: Path) -> None:
    source = write_weights(tmp_path / "kept.safetensors")
    kept, checksum, path = add_backbone(source, tmp_path)
    assert path == tmp_path / BACKBONES / f"{checksum}.safetensors"
    assert path.read_bytes() == source.read_bytes()
    assert (kept.cell.arch.name, kept.dataset) == ("vit_lite", "made_up")
    assert backbone_declaration(checksum) == f"backbone_sha256: {checksum}"
    weights = load_backbone(trial(tmp_path, checksum), tmp_path)
    assert weights is not None
    expected = read_backbone(source, None, 16).model.state_dict()
    assert all(torch.equal(weights[name], value) for name, value in expected.items())


def test_missing_and_damaged_weights_are_refused(tmp_path: Path) -> None:
    assert "not prepared" in refusal(tmp_path, BACKBONE)
    _, checksum, path = add_backbone(write_weights(tmp_path / "kept.safetensors"), tmp_path)
    assert checksum in refusal(tmp_path, BACKBONE)
    content = path.read_bytes()
    path.write_bytes(content[:-4] + b"\1\2\3\4")
    assert "damaged on disk" in refusal(tmp_path, checksum)
    path.write_bytes(b"nothing")
    assert "damaged on disk" in refusal(tmp_path, checksum)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"depth": 3}, "depth 3"),
        ({"pe": "sin2d"}, "pe sin2d"),
        ({"family": "deit"}, "family deit"),
        ({"qkv_bias": True}, "qkv_bias True"),
    ],
)
def test_weights_of_another_model_are_refused(tmp_path: Path, changes: dict[str, Any], told: str) -> None:
    _, checksum, _ = add_backbone(write_weights(tmp_path / "kept.safetensors", **changes), tmp_path)
    message = refusal(tmp_path, checksum)
    assert "another model than the one of these weights" in message
    assert told in message


def test_other_dropout_in_its_training_does_not_matter(tmp_path: Path) -> None:
    _, checksum, _ = add_backbone(write_weights(tmp_path / "kept.safetensors", drop_path=0.0, attn_drop=0.3), tmp_path)
    assert load_backbone(trial(tmp_path, checksum), tmp_path) is not None


def test_a_plain_vit_of_timm_is_converted(tmp_path: Path) -> None:
    """As DINO's weights: named as timm names them, without a class head. It has the same features."""
    torch.manual_seed(0)
    theirs = timm.create_model("vit_tiny_patch16_224", img_size=32, num_classes=0).eval()
    torch.save(theirs.state_dict(), tmp_path / "dino.pth")
    kept, _, path = add_backbone(tmp_path / "dino.pth", tmp_path, "deit_tiny")
    assert (kept.cell.arch.name, kept.cell.shape.image_size, kept.dataset) == ("deit_tiny", 32, "dino.pth")
    images = torch.randn(2, 3, 32, 32)
    with torch.no_grad():
        expected = theirs.forward_features(images)[:, 1:]
    assert torch.allclose(read_backbone(path, None, 32).features(images).patches, expected, atol=1e-4)


def test_weights_that_are_no_such_vit_are_refused(tmp_path: Path) -> None:
    torch.manual_seed(0)
    theirs = timm.models.VisionTransformer(
        img_size=12, patch_size=4, embed_dim=16, depth=2, num_heads=2, mlp_ratio=2, num_classes=0
    )
    torch.save(theirs.state_dict(), tmp_path / "small.pth")
    torch.save({"weight": torch.zeros(3)}, tmp_path / "other.pth")
    for arch, name, told in (
        (None, "small", "--arch deit_small"),
        ("deit_tiny", "small", "don't belong to this model"),
        ("resnet18", "small", "family resnet"),
        ("deit_tiny", "other", "no such pos_embed"),
        ("deit_enormous", "small", "deit_enormous"),
    ):
        with pytest.raises(InputError, match=told):
            add_backbone(tmp_path / f"{name}.pth", tmp_path, arch)
    assert not (tmp_path / BACKBONES).exists()


def test_regions_and_other_networks_are_no_backbone(tmp_path: Path) -> None:
    arch = resolve_architecture("resnet20")
    cell = ModelCell(arch, "none", "default", "bn", Shape(3, 8))
    model = create_model(arch, pe="none", num_classes=3, image_size=8)
    write_checkpoint(tmp_path / "kept.safetensors", model, cell, dataset="made_up", trial_id="0" * 16)
    with pytest.raises(InputError, match="can't be a backbone"):
        add_backbone(tmp_path / "kept.safetensors", tmp_path)
