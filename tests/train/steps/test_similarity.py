"""The similarity of patches that a training records: of which images, of what, and where it is kept."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch
from torch import Tensor

from suite.data.images import ArrayImages
from suite.grid.grid import load_grid
from suite.store.folder import Store
from suite.store.frames import load_history
from suite.store.history import HISTORY
from suite.train.augmentation.pipeline import Normalise
from suite.train.machine import Machine
from suite.train.steps.precision import Precision
from suite.train.steps.similarity import SAMPLE, layer_similarity, sample
from suite.train.trials import run_trial
from tests.models.test_conformance import TRANSFORMERS, build
from tests.records import make_record

Write = Callable[..., Path]
CPU = torch.device("cpu")


def pictures(count: int, side: int = 32) -> ArrayImages:
    generator = torch.Generator().manual_seed(2)
    pixels = torch.randint(256, (count, side, side, 3), dtype=torch.uint8, generator=generator)
    return ArrayImages(pixels, torch.arange(count) % 5)


def measured(model: Any, images: ArrayImages) -> Any:
    normalise = Normalise((0.5,) * 3, (0.5,) * 3, CPU)
    return layer_similarity(model.eval(), images, 1.0, normalise, Precision("fp32", None), CPU)


@pytest.mark.parametrize("family", TRANSFORMERS)
def test_it_is_the_mean_of_cosines_after_each_block(family: str) -> None:
    model, images = build(family, "learnable", "lape", image_size=32), pictures(3)
    outputs: list[Tensor] = []
    for name, module in model.named_modules():
        if name.startswith(("blocks.", "stages.")) and hasattr(module, "norm1") and hasattr(module, "attention"):
            module.register_forward_hook(lambda _, __, output: outputs.append(output))
    found = measured(model, images)
    size = model.architecture.size
    grids = [grid for grid, n in zip(size.stage_grids(32), size.depths(), strict=True) for _ in range(n)]
    assert len(found) == len(outputs) == len(grids)
    for value, tokens, (rows, columns) in zip(found, outputs, grids, strict=True):
        patches, total = rows * columns, 0.0
        for image in tokens[:, -patches:].double():
            total += sum(
                abs(torch.cosine_similarity(image[i], image[j], dim=0).item())
                for i in range(min(patches, 6))
                for j in range(patches)
                if i != j
            ) / (min(patches, 6) * (patches - 1))
        if patches <= 6:
            assert value == pytest.approx(total / len(tokens), abs=1e-5)
        else:  # some patches against all others
            assert value == pytest.approx(total / len(tokens), abs=0.3)


def test_the_sample_is_spread_over_the_test_images() -> None:
    assert sample(pictures(3, 2)).tolist() == [0, 1, 2]
    found = sample(pictures(1000, 1))
    assert len(found.unique()) == SAMPLE
    assert found[0] == 0
    assert 900 < found[-1] < 1000


def test_convolutional_networks_and_a_single_patch_have_none() -> None:
    assert measured(build("resnet_cifar", "none", "default", "bn", image_size=32), pictures(2)) is None
    assert measured(build("deit", "learnable", "default", patch_size=32, image_size=32), pictures(2)) is None


def test_a_model_from_outside_need_not_show_its_patches() -> None:
    model = build("deit", "learnable", "default", image_size=32)
    shown = model.forward
    assert measured(model, pictures(2)) is not None
    model.forward = lambda images, watched=(): shown(images)
    assert measured(model, pictures(2)) is None


def test_it_is_recorded_with_each_test_and_kept(write_grid: Write, machine: Machine, tmp_path: Path) -> None:
    trial = load_grid(write_grid(("epochs: 2", "epochs: 3, test_every: 2"))).expand().trials[0]
    record = run_trial(trial, machine)
    assert record.history is not None
    assert [epoch.similarity is None for epoch in record.history] == [True, False, False]
    last = record.history[-1].similarity
    assert last is not None
    assert len(last) == 2
    assert all(0 < value < 1 for value in last)
    store = Store(tmp_path / "kept")
    store.put(record)
    fresh = load_history(store.folder)
    with store.lock():
        store.collect()
    kept = load_history(store.folder)
    for frame in (fresh, kept):
        assert frame["similarity"].iloc[0] is None
        assert frame["similarity"].iloc[2] == pytest.approx(last)


def test_histories_from_before_it_was_recorded_are_read_and_written_on(write_grid: Write, tmp_path: Path) -> None:
    first, second = load_grid(write_grid()).expand().trials[:2]
    store = Store(tmp_path / "kept")
    store.put(make_record(first))
    with store.lock():
        store.collect()
    path = store.folder / HISTORY
    pd.read_parquet(path).drop(columns="similarity").to_parquet(path, index=False)
    assert load_history(store.folder)["similarity"].isna().all()
    store.put(make_record(second, history=[{**make_record(second).history[0].model_dump(), "similarity": (0.5, 0.25)}]))
    with store.lock():
        store.collect()
    found = load_history(store.folder)
    assert set(found["trial_id"]) == {first.id, second.id}
    assert found.loc[found["trial_id"] == second.id, "similarity"].tolist() == [(0.5, 0.25)]


def test_a_history_whose_similarities_are_no_numbers_is_damaged(write_grid: Write, tmp_path: Path) -> None:
    from suite.errors import InputError

    store = Store(tmp_path / "kept")
    store.put(make_record(load_grid(write_grid()).expand().trials[0]))
    with store.lock():
        store.collect()
    path = store.folder / HISTORY
    pd.read_parquet(path).assign(similarity="x").to_parquet(path, index=False)
    with pytest.raises(InputError, match="history of the runs is damaged"):
        load_history(store.folder)
