"""Corrupted copies as images: in the order of the test split, resized and cropped before they were corrupted."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch

from suite.data.corruptions.images import load_corrupted
from suite.data.corruptions.settings import Corruptions
from suite.data.corruptions.stored import CopiesOf
from suite.data.images import load_images
from suite.data.preparation import prepare
from suite.data.subsets import balanced_subset
from tests.corrupted import darker


def test_copies_are_of_cropped_images_from_files_too(tmp_path: Path, write_tree: Callable[..., Path]) -> None:
    root = tmp_path / "cache"
    dataset = prepare("folder", root=root, source=write_tree(), image_size=32, storage="folder")
    settings = Corruptions.model_validate({"kinds": ["snow"], "severities": [2, 1], "images": dataset.num_classes})
    test = load_images(dataset, "test", root)
    chosen = balanced_subset(test.labels, dataset.num_classes)
    cropped = test.batch(chosen, 0.5)
    CopiesOf(dataset, settings, 0.5, root).make(
        lambda places: test.batch(torch.tensor(places), 0.5).permute(0, 2, 3, 1).numpy(), chosen.tolist(), darker
    )
    found = list(load_corrupted(dataset, settings, 0.5, root).sets(torch.device("cpu")))
    assert [(kind, severity) for kind, severity, _ in found] == [("snow", 1), ("snow", 2)]
    for _, severity, images in found:
        assert torch.equal(images.labels, test.labels[chosen])
        everything = torch.arange(len(images))
        assert torch.equal(images.batch(everything, 0.5), cropped // (severity + 1))  # not cropped a second time
        assert torch.equal(images.batch(everything[-1:], 1.0), cropped[-1:] // (severity + 1))
