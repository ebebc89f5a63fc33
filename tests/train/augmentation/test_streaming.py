"""Images decoded while others are in use: the same ones, not too many, and nothing left behind."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import torch

from suite.data import parallel
from suite.data.images import FolderImages, load_images
from suite.data.preparation import prepare
from suite.errors import InputError
from suite.grid.recipe import Recipe
from suite.train.augmentation import pipeline
from suite.train.augmentation.pipeline import Augmentation, Normalise, Stretch

CPU = torch.device("cpu")
SIZE = 8  # of a stretch
RECIPES: dict[str, dict[str, Any]] = {
    "crops": {"batch_size": 4, "crop_scale": (0.2, 1.0), "auto_augment": "rand", "mixup": 0.8, "erase_prob": 0.5},
    "whole": {"batch_size": SIZE, "crop_padding": 2, "flip": True},
}


@pytest.fixture
def images(write_tree: Callable[..., Path], tmp_path: Path) -> FolderImages:
    root = tmp_path / "cache"
    dataset = prepare(
        "drawings", root=root, source=write_tree(size=(40, 27), train=16), storage="folder", image_size=14
    )
    made = load_images(dataset, "train", root)
    assert isinstance(made, FolderImages)
    return made


@pytest.fixture(params=RECIPES)
def augmentation(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Augmentation:
    monkeypatch.setattr(pipeline, "TOGETHER", SIZE)
    recipe = Recipe.model_validate({"version": 1, "epochs": 1, "lr": 1.0, **RECIPES[request.param]})
    return Augmentation(recipe, Normalise((0.5,) * 3, (0.2,) * 3, CPU))


def stretches(augmentation: Augmentation, images: FolderImages, start: int = 0, state: Any = None) -> Any:
    generator = torch.Generator().manual_seed(0)
    if state is not None:
        generator.set_state(state)
    return augmentation.stretches(images, torch.arange(48).flip(0)[start:], CPU, generator, mixing=True)


def read(stretch: Stretch) -> list[torch.Tensor]:
    return [inputs for inputs, _ in stretch.batches]


def test_reading_ahead_changes_nothing(augmentation: Augmentation, images: FolderImages) -> None:
    ahead = [inputs for stretch in stretches(augmentation, images) for inputs in read(stretch)]
    all_at_once = [inputs for stretch in list(stretches(augmentation, images)) for inputs in read(stretch)]
    first = next(stretches(augmentation, images))
    rest = [inputs for stretch in stretches(augmentation, images, SIZE, first.state) for inputs in read(stretch)]
    assert len(ahead) * len(ahead[0]) == 48
    assert torch.equal(torch.cat(ahead), torch.cat(all_at_once))
    assert torch.equal(torch.cat(ahead)[SIZE:], torch.cat(rest))


def test_no_more_than_the_next_stretch_is_read_ahead(
    augmentation: Augmentation, images: FolderImages, monkeypatch: pytest.MonkeyPatch
) -> None:
    verified, seen = FolderImages._verified, []
    monkeypatch.setattr(FolderImages, "_verified", lambda self, row: (seen.append(row), verified(self, row))[1])
    for number, stretch in enumerate(stretches(augmentation, images), 1):
        read(stretch)
        assert number * SIZE <= len(seen) <= min(number + 1, 6) * SIZE
    assert len(seen) == 48


def test_a_changed_file_is_told_where_its_stretch_is_used(augmentation: Augmentation, images: FolderImages) -> None:
    path = images.folder / images.rows[47 - SIZE].path  # the second stretch's first
    path.write_bytes(path.read_bytes() + b"more")
    running = stretches(augmentation, images)
    assert len(torch.cat(read(next(running)))) == SIZE
    second = next(running)
    with pytest.raises(InputError, match="SHA-256") as caught:
        read(second)
    assert caught.value.problems[0].where == str(path)
    path.unlink()
    with pytest.raises(InputError, match="can't be read"):
        read(list(stretches(augmentation, images))[1])


def test_nothing_goes_on_when_the_consumer_stops(
    augmentation: Augmentation, images: FolderImages, monkeypatch: pytest.MonkeyPatch
) -> None:
    verified, begun, ended, gate = FolderImages._verified, [], [], threading.Event()

    def slow(self: FolderImages, row: Any) -> Any:
        begun.append(row)
        gate.wait(0.05)
        found = verified(self, row)
        ended.append(row)
        return found

    monkeypatch.setattr(FolderImages, "_verified", slow)
    pool = ThreadPoolExecutor(2)
    monkeypatch.setattr(parallel, "_threads", lambda: pool)
    running = stretches(augmentation, images)
    read(next(running))
    running.close()
    count = len(begun)
    assert count == len(ended) < 2 * SIZE
    gate.wait(0.2)
    assert len(begun) == count
    pool.shutdown()
