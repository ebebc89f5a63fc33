"""What each recipe made of the same images when its runs were committed: no draw and no pixel may have changed."""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from suite.data.images import ArrayImages
from suite.grid.documents import load_document
from suite.grid.recipe import Recipe
from suite.train.augmentation import pipeline
from suite.train.augmentation.pipeline import Augmentation, Normalise, Stretch
from tests.conftest import REPOSITORY

GOLDEN = json.loads((REPOSITORY / "tests/golden/augmentation.json").read_text())
FOLDER = REPOSITORY / "grids/recipes"
BATCH = 64
BATCHES = 10  # the golden file's: more than one stretch
CPU = torch.device("cpu")
WHOLE: dict[str, Any] = {"version": 1, "epochs": 1, "lr": 1.0, "crop_scale": (0.1, 1.0), "flip": True}


@dataclass(frozen=True)
class Case:
    """A recipe, and the images that it gets."""

    recipe: Recipe
    shape: tuple[int, int, int] = (3, 32, 32)
    mixing: bool = True


@cache
def pictures(channels: int, height: int, width: int) -> ArrayImages:
    """Slopes with noise."""
    random, count = np.random.default_rng(0), BATCHES * BATCH
    slopes = np.linspace(0, 1, height)[:, None, None] * random.integers(0, 200, (count, 1, 1, channels))
    pixels = (slopes + random.integers(0, 56, (count, height, width, channels))).astype(np.uint8)
    return ArrayImages(torch.from_numpy(pixels), torch.zeros(count, dtype=torch.long))


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Five batches in stretches of two: all that matters where nothing is compared with the golden file."""
    monkeypatch.setattr(sys.modules[__name__], "BATCHES", 5)
    monkeypatch.setattr(pipeline, "TOGETHER", 2 * BATCH)
    pictures.cache_clear()
    yield
    pictures.cache_clear()


def case(shape: tuple[int, int, int] = (3, 32, 32), mixing: bool = True, **values: Any) -> Case:
    return Case(Recipe.model_validate({"batch_size": BATCH, **WHOLE, **values}), shape, mixing)


OF_LISTS = ("listops_budget", "lra_listops")  # nothing may change a list
OF_SCENES = ("segmenter_ade20k",)  # its images have masks, and are larger: test_scene_augmentation.py
CASES = {
    path.stem: Case(load_document(path, Recipe).model_copy(update={"batch_size": BATCH}))
    for path in sorted(FOLDER.glob("*.yaml"))
    if path.stem not in (*OF_LISTS, *OF_SCENES)
} | {
    # Version 1 of DTN's recipe, as it was when the golden file was made.
    "dtn": Case(
        load_document(FOLDER / "dtn.yaml", Recipe).model_copy(
            update={"batch_size": BATCH, "mixup": 0.8, "cutmix": 1.0, "repeats": 1}
        )
    ),
    "grey": case((1, 24, 37), auto_augment="rand-n3-p0.9", interpolation="bilinear", erase_prob=0.5),
    "pairs": case(mixup=0.8, cutmix=1.0, mixup_mode="pair", erase_prob=0.7, erase_mode="rand", erase_count=3),
    "each": case((3, 24, 37), cutmix=1.0, mixup_mode="elem", mixup_prob=0.7, erase_prob=0.7, erase_mode="const"),
    "off": case(mixing=False, mixup=0.8, auto_augment="cifar10", crop_scale=None, crop_padding=3, erase_prob=0.2),
}
# Their images become what other recipes make of them by the same code: compact_transformers_cifar10, ceit, each.
ALIKE = ("compact_transformers_cifar100", "deit", "swin", "t2t_vit", "dtn")
NAMES = [pytest.param(name, marks=pytest.mark.slow if name in ALIKE else ()) for name in CASES]
# Without resampling and without noise each value is rounded once, so that every processor gives the same bits. The
# committed runs are of these.
EXACT = ("cifar_subset", "compact_transformers_legacy", "digits")


def batches(chosen: Case) -> Iterator[tuple[torch.Tensor, torch.Tensor | None]]:
    """A whole stretch and part of another: inputs and shares."""
    for stretch in stretches(chosen):
        yield from stretch.batches


def stretches(
    chosen: Case,
    done: int = 0,
    state: torch.Tensor | None = None,
    device: torch.device = CPU,
    part: torch.Tensor | None = None,
) -> Iterator[Stretch]:
    """What is left after `done` images, from that state."""
    channels = chosen.shape[0]
    normalise = Normalise((0.4914, 0.4822, 0.4465)[:channels], (0.2470, 0.2435, 0.2616)[:channels], device)
    generator = torch.Generator().manual_seed(7)
    if state is not None:
        generator.set_state(state)
    order = torch.randperm(BATCHES * BATCH, generator=torch.Generator().manual_seed(8))[done:]
    images = pictures(*chosen.shape).to(device)
    return Augmentation(chosen.recipe, normalise).stretches(images, order, device, generator, chosen.mixing, part)


def described(chosen: Case, exact: bool) -> dict[str, Any]:
    """Two projections of each batch, its first shares, and checksums of the last state and, if `exact`, of all bits."""
    projections, shares, digest = [], [], hashlib.sha256()
    state = torch.zeros(0)
    for stretch in stretches(chosen):
        state = stretch.state
        for inputs, share in stretch.batches:
            wave = torch.arange(inputs.numel(), dtype=torch.float64).cos().view_as(inputs)
            projections.append([inputs.double().mean().item(), (inputs.double() * wave).mean().item()])
            shares.append([] if share is None else share[:4, 0].tolist())
            digest.update(inputs.contiguous().numpy().tobytes())
    bits = {"bits": digest.hexdigest()} if exact else {}
    return {
        "projections": projections,
        "shares": shares,
        "state": hashlib.sha256(state.numpy().tobytes()).hexdigest(),
    } | bits


@pytest.mark.parametrize("name", CASES)
def test_no_draw_and_no_pixel_changed(name: str) -> None:
    found, expected = described(CASES[name], name in EXACT), GOLDEN[name]
    assert found["state"] == expected["state"]
    assert found.get("bits") == expected.get("bits")
    np.testing.assert_allclose(np.array(found["shares"]), np.array(expected["shares"]), rtol=1e-6)
    # One other draw for one image moves the means by some 1e-4; a grey level more in one pixel, by 1e-7.
    np.testing.assert_allclose(found["projections"], expected["projections"], rtol=0, atol=2e-6)


@pytest.mark.parametrize(("name", "last"), [("cifar_subset", True), ("digits", False)])
def test_inputs_lie_in_memory_as_in_committed_runs(name: str, last: bool) -> None:
    """A convolution may add in another order where channels come last in memory."""
    for inputs, _ in batches(CASES[name]):
        assert inputs.is_contiguous(memory_format=torch.channels_last if last else torch.contiguous_format)


@pytest.mark.usefixtures("short")
@pytest.mark.parametrize("name", CASES)
def test_a_stretch_s_state_is_where_the_rest_goes_on(name: str) -> None:
    first, *rest = stretches(CASES[name])
    again = list(stretches(CASES[name], len(first.indices), first.state))
    assert len(again) == len(rest) > 0
    for found, expected in zip(again, rest, strict=True):
        assert torch.equal(found.indices, expected.indices)
        assert torch.equal(found.state, expected.state)
        for (inputs, share), (wanted, part) in zip(found.batches, expected.batches, strict=True):
            assert torch.equal(inputs, wanted)
            assert share is part is None or torch.equal(share, part)  # type: ignore[arg-type]


class OneDevice(TorchDispatchMode):
    """Refuses operators on tensors of several devices: a GPU would copy some of them, or fail."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        tensors = [part for part in tree_leaves((args, kwargs)) if isinstance(part, torch.Tensor) and part.dim()]
        devices = {tensor.device.type for tensor in tensors}
        assert len(devices) < 2 or func is torch.ops.aten._to_copy.default, f"{func} on {devices}"
        return func(*args, **(kwargs or {}))


@pytest.mark.usefixtures("short")
@pytest.mark.parametrize("name", NAMES)
def test_a_device_is_never_waited_for(name: str) -> None:
    """On torch's device without memory every look at a value is an error: item, nonzero, a mask as an index."""
    chosen = CASES[name]
    there, here = next(stretches(chosen, device=torch.device("meta"))), next(stretches(chosen))
    assert torch.equal(there.state, here.state)
    with OneDevice():
        batches = list(there.batches)
    for inputs, share in batches:
        assert inputs.is_meta
        assert (inputs.shape, inputs.dtype) == ((BATCH, *chosen.shape), torch.float32)
        assert (share is not None) == (chosen.recipe.mixes and chosen.mixing)
        assert share is None or (share.is_meta and share.shape == (BATCH, 1))


def joined(chosen: Case, device: torch.device, part: torch.Tensor | None, bytes_: int) -> list[tuple[Stretch, ...]]:
    """All stretches of two orders, augmented as one where they have so many bytes."""
    channels = chosen.shape[0]
    normalise = Normalise((0.4914, 0.4822, 0.4465)[:channels], (0.2470, 0.2435, 0.2616)[:channels], device)
    orders = [torch.randperm(BATCHES * BATCH, generator=torch.Generator().manual_seed(seed)) for seed in range(2)]
    generators = [torch.Generator().manual_seed(seed) for seed in (7, 8)]
    images = pictures(*chosen.shape).to(device)
    augmentation = Augmentation(chosen.recipe, normalise, bytes_)
    return list(augmentation.streams(images, orders, device, generators, chosen.mixing, part))


@pytest.mark.usefixtures("short")
@pytest.mark.parametrize("part", [None, torch.arange(20)])
@pytest.mark.parametrize("name", NAMES)
def test_stretches_augmented_as_one_are_as_each_by_itself(name: str, part: torch.Tensor | None) -> None:
    """As a GPU has them: of several orders, and several of each."""
    each, all_ = (joined(CASES[name], CPU, part, bytes_) for bytes_ in (0, 2**30))
    assert len(each) == len(all_) > 1
    for one_round, of_all in zip(each, all_, strict=True):
        for expected, found in zip(one_round, of_all, strict=True):
            assert torch.equal(found.indices, expected.indices)
            assert torch.equal(found.state, expected.state)
            assert [None if box is None else box.tolist() for box in found.boxes] == [
                None if box is None else box.tolist() for box in expected.boxes
            ]
            for (inputs, share), (wanted, own) in zip(found.batches, expected.batches, strict=True):
                assert torch.equal(inputs, wanted)
                assert inputs.is_contiguous(memory_format=torch.channels_last)
                assert share is own is None or torch.equal(share, own)  # type: ignore[arg-type]


@pytest.mark.usefixtures("short")
@pytest.mark.parametrize("name", NAMES)
def test_a_device_is_never_waited_for_by_stretches_as_one(name: str) -> None:
    with OneDevice():
        stretches_ = joined(CASES[name], torch.device("meta"), None, 2**30)
    assert all(inputs.is_meta for found in stretches_ for stretch in found for inputs, _ in stretch.batches)


def write_missing() -> None:
    """Write down what becomes of images by new recipes: `python -m tests.train.augmentation.test_golden`."""
    missing = {name: described(CASES[name], name in EXACT) for name in CASES if name not in GOLDEN}
    text = json.dumps({**GOLDEN, **missing}, indent=1)
    (REPOSITORY / "tests/golden/augmentation.json").write_text(f"{text}\n")


if __name__ == "__main__":
    write_missing()


@pytest.mark.usefixtures("short")
@pytest.mark.parametrize("part", [torch.arange(0, 64, 2), torch.tensor([7])])
@pytest.mark.parametrize("name", NAMES)
def test_a_part_of_each_batch_is_what_it_is_in_the_whole(name: str, part: torch.Tensor) -> None:
    """With the draws of the whole, whoever computes the rest."""
    for whole, some in zip(stretches(CASES[name]), stretches(CASES[name], part=part), strict=True):
        assert torch.equal(whole.state, some.state)
        for (inputs, share), (found, of_part) in zip(whole.batches, some.batches, strict=True):
            assert torch.allclose(found, inputs[part], rtol=0, atol=1e-6)
            assert (share is None) == (of_part is None)
            assert share is None or torch.equal(share, of_part)  # type: ignore[arg-type]
