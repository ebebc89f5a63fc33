"""A frozen transformer whose patches are grouped: what is trained, what is drawn from the seed, and planted regions."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from suite.errors import InputError
from suite.models import create_model
from suite.models.architectures import resolve_architecture
from suite.models.costs.macs import count_macs, count_parameters
from suite.models.initialise import initialise
from suite.models.model_cell import ModelCell, Shape
from suite.models.region_size import RegionSize, has_trained_parameters
from suite.models.regions.backbone import read_backbone
from suite.models.regions.grouping import Clusters, Grouped, grouping_of
from suite.models.regions.modularity import modularity_loss
from suite.models.regions.partition import partition
from suite.models.weights.checkpoint import write_checkpoint
from tests.models.regions.communities import planted, same

BODY: dict[str, Any] = {
    "patch_size": 4, "embed_dim": 16, "depth": 2, "num_heads": 2, "mlp_ratio": 2.0, "drop_path": 0.5, "attn_drop": 0.5,
}  # fmt: skip
DCN: dict[str, Any] = {"updates": 2, "prototype_heads": 2, "prototype_hidden": 32}


def size(grouping: str, **changes: Any) -> RegionSize:
    of_dcn = DCN if grouping == "dcn" else {}
    made = resolve_architecture("regions_lite", {**BODY, "grouping": grouping, **of_dcn, **changes}).size
    assert isinstance(made, RegionSize)
    return made


def model(grouping: str, **changes: Any) -> Any:
    torch.manual_seed(0)
    return create_model("regions_lite", num_classes=1, image_size=16, **size(grouping, **changes).model_dump())


@pytest.mark.parametrize("grouping", ["kmeans", "spectral"])
def test_clusterings_find_planted_regions(grouping: str) -> None:
    images = [planted(3, seed=seed) for seed in range(3)]
    head = grouping_of(size(grouping, regions=3))
    found = partition(head(torch.stack([image for image, _ in images])))
    for labels, (_, truth) in zip(found.labels, images, strict=True):
        assert same(labels, truth)


def test_prototypes_find_planted_regions_by_training() -> None:
    images = [planted(2 + seed % 2, seed=seed) for seed in range(24)]
    features = torch.stack([image for image, _ in images])
    head = grouping_of(size("dcn"))
    for name, value in head.drawn(0).items():
        head.get_parameter(name).data.copy_(value)
    optimiser = torch.optim.AdamW(head.parameters(), lr=1e-3)

    def right() -> int:
        labels = partition(head(features)).labels
        return sum(same(found, truth) for found, (_, truth) in zip(labels, images, strict=True))

    before = right()
    for _ in range(500):
        optimiser.zero_grad()
        modularity_loss(features, head(features)).backward()
        optimiser.step()
    assert before <= 6
    assert right() >= 18


@pytest.mark.parametrize("grouping", ["dcn", "kmeans", "spectral"])
def test_the_backbone_is_frozen_and_stays_in_evaluation_mode(grouping: str) -> None:
    grouped = model(grouping).train()
    images = torch.randn(3, 3, 16, 16)
    trained = [name for name, value in grouped.named_parameters() if value.requires_grad]
    assert all(name.startswith("head.") for name in trained)
    assert bool(trained) == (grouping == "dcn") == has_trained_parameters(grouped.architecture.size)
    first, second = grouped(images), grouped(images)  # dropout would make them differ
    assert isinstance(first, Grouped)
    assert first.similarities.shape == (3, 16, 5)
    assert torch.equal(first.features, second.features)
    assert torch.equal(first.features, grouped.eval()(images).features)
    assert not first.features.requires_grad
    assert not any(name.startswith("head.") for name in grouped.backbone_state())


def test_features_are_those_of_the_backbone(tmp_path: Path) -> None:
    """Also of images of another size, for which the position embedding is interpolated."""
    arch = resolve_architecture("vit_lite", BODY)
    source = create_model(arch, num_classes=3, image_size=8)
    cell = ModelCell(arch, "learnable", "default", "ln", Shape(3, 8))
    write_checkpoint(tmp_path / "kept.safetensors", source, cell, dataset="made_up", trial_id="0" * 16)
    backbone = read_backbone(tmp_path / "kept.safetensors", None, 16)
    grouped = model("kmeans")
    grouped.load_backbone(backbone.model.state_dict())
    images = torch.randn(2, 3, 16, 16)
    assert torch.equal(grouped(images).features, backbone.features(images).patches)


def test_what_is_drawn_comes_from_the_seed() -> None:
    one, other = model("dcn"), model("dcn")
    drawn = []
    for seed in (1, 1, 2):
        initialise(one if seed == 1 else other, seed)
        drawn.append({name: value.clone() for name, value in (one if seed == 1 else other).head.named_parameters()})
    assert all(torch.equal(drawn[0][name], drawn[1][name]) for name in drawn[0])
    assert not torch.equal(drawn[0]["prototypes"], drawn[2]["prototypes"])
    assert drawn[0]["prototypes"].std() > 0.5  # of standard deviation 1
    clusters = model("kmeans")
    seeds = []
    for seed in (1, 1, 2):
        initialise(clusters, seed)
        seeds.append(int(clusters.head.seed))
    assert seeds[0] == seeds[1] != seeds[2]
    assert 0 <= seeds[0] < 2**32


def test_the_seed_of_a_clustering_changes_its_starts() -> None:
    head, features = Clusters(size("kmeans")), torch.randn(1, 64, 16)

    def grouped(seed: int) -> Tensor:
        head.drawn(seed)
        return head(features).argmax(2)

    assert torch.equal(grouped(1), grouped(1))
    assert any(not torch.equal(grouped(1), grouped(seed)) for seed in range(2, 8))


def test_costs_include_the_backbone_and_no_clustering() -> None:
    plain = create_model("vit_lite", num_classes=1, image_size=16, **BODY)
    clustered, trained = model("kmeans"), model("dcn")
    macs = count_macs(clustered, 16, 3)
    assert macs == count_macs(plain, 16, 3) - 16  # without the class head
    assert count_macs(trained, 16, 3) > macs
    assert count_parameters(trained).total == count_parameters(clustered).total + count_parameters(trained).trainable


def test_sizes_that_do_not_fit_are_refused() -> None:
    with pytest.raises(InputError, match="prototype_heads"):
        size("kmeans", prototype_heads=2)
    for changes, told in (({"prototype_heads": 3}, "divides embed_dim"), ({"regions": 17}, "fewer patches")):
        with pytest.raises(InputError, match=told):
            model("dcn", **changes)
