"""RandAugment and AutoAugment: each operation on real images, and the draws, against timm's and torchvision's."""

from __future__ import annotations

import random
from collections import Counter, defaultdict
from functools import cache
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from timm.data import auto_augment as timm
from torchvision.transforms import AutoAugment, AutoAugmentPolicy, autoaugment

from suite.grid.auto_augment import RAND_OPERATIONS, LearnedPolicy, RandAugment, parse_policy
from suite.train.augmentation.geometry import BICUBIC, BILINEAR
from suite.train.augmentation.layers import apply_layer
from suite.train.augmentation.operations import (
    NOTHING,
    OPERATIONS,
    Layer,
    draw_interpolation,
    draw_learned,
    draw_rand_augment,
)
from tests.pictures import assert_alike, from_pillow, photographs, to_pillow

FILL = (125, 123, 114)
RESAMPLE = {BILINEAR: Image.Resampling.BILINEAR, BICUBIC: Image.Resampling.BICUBIC}
GEOMETRIC = ("Rotate", "Shear", "Translate")


def rand(text: str) -> RandAugment:
    policy = parse_policy(text)
    assert isinstance(policy, RandAugment)
    return policy


def learned() -> LearnedPolicy:
    policy = parse_policy("cifar10")
    assert isinstance(policy, LearnedPolicy)
    return policy


def timm_operation(name: str, image: Image.Image, argument: float, resample: Image.Resampling) -> Image.Image:
    """One of timm's, by our name, at the very argument."""
    if name == "Posterize" and argument == 0:  # Pillow 13 refuses it
        return Image.new("RGB", image.size)
    whole = name in ("Posterize", "Solarize", "SolarizeAdd")
    given = [] if name in ("AutoContrast", "Equalize", "Invert") else [int(argument) if whole else argument]
    return timm.NAME_TO_OP[name](image, *given, fillcolor=FILL, resample=resample)


@cache
def many_layers(inc: int) -> list[Layer]:
    """For the photographs, by a policy whose magnitudes are far apart."""
    policy, generator = rand(f"rand-m8-mstd4-n28-p1-inc{inc}"), torch.Generator().manual_seed(1)
    return list(draw_rand_augment(policy, len(photographs()), (32, 32), "random", generator))


@pytest.mark.parametrize("inc", [0, 1])
@pytest.mark.parametrize("name", OPERATIONS)
def test_each_operation_gives_timms_pixels(name: str, inc: int) -> None:
    """At the magnitudes of a strong and wide policy, some of which are at the ends of their range."""
    images, layers = photographs(), many_layers(inc)
    number, tried = OPERATIONS.index(name), 0
    for layer in layers:
        only = Layer(torch.where(layer.operation == number, number, NOTHING), layer.argument, layer.interpolation)
        drawn = (only.operation == number).nonzero().flatten()
        if not len(drawn):
            continue
        found = apply_layer(images, only, torch.tensor(FILL, dtype=torch.uint8))
        expected = [
            timm_operation(name, image, float(layer.argument[i]), RESAMPLE[int(layer.interpolation[i])])
            for i, image in zip(drawn.tolist(), to_pillow(images[drawn]), strict=True)
        ]
        assert_alike(found[drawn], expected, mean=0.1 if name.startswith(GEOMETRIC) else 0, far=0.02)
        untouched = only.operation == NOTHING
        assert torch.equal(found[untouched], images[untouched])
        tried += len(drawn)
    assert tried > 100


@pytest.mark.parametrize(
    "text", ["rand-m9-mstd0.5-inc1", "rand-m9-mstd0.5", "rand-m5-p0.8-n3-mstd101-inc1", "rand-m12-mmax15"]
)
def test_operations_and_magnitudes_are_distributed_as_timms(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    count = 6000
    random.seed(0)
    np.random.seed(0)
    theirs = timm.rand_augment_transform(text, {"img_mean": FILL})
    noted: list[tuple[str, float]] = []
    for op in theirs.ops:
        name = op.name.removesuffix("Increasing")

        def note(image: Any, *arguments: float, name: str = name, **options: Any) -> Any:
            if name.startswith("Translate"):
                arguments = (arguments[0] * 32,)  # of the image's size
            noted.append((name, float(arguments[0]) if arguments else 0.0))
            return image

        op.aug_fn = note
    for _ in range(count):
        theirs(None)
    layers = draw_rand_augment(rand(text), count, (32, 32), "random", torch.Generator().manual_seed(0))
    ours: dict[str, list[float]] = defaultdict(list)
    for layer in layers:
        for number, argument in zip(layer.operation.tolist(), layer.argument.tolist(), strict=True):
            if number != NOTHING:
                ours[OPERATIONS[number]].append(argument)
    expected: dict[str, list[float]] = defaultdict(list)
    for name, argument in noted:
        expected[name.removesuffix("Rel")].append(argument)
    assert ours.keys() == expected.keys() == {name.removesuffix("Rel") for name in RAND_OPERATIONS}
    for name, found in ours.items():
        # Two Poisson counts: their difference is within 4.5 standard deviations.
        assert abs(len(found) - len(expected[name])) < 4.5 * (len(found) + len(expected[name])) ** 0.5, name
        if name in ("AutoContrast", "Equalize", "Invert"):
            continue
        for value in (np.asarray, np.abs):  # the sign, and the size
            a, b = (value(np.asarray(values)) for values in (found, expected[name]))
            error = np.sqrt(a.var() / len(a) + b.var() / len(b)) + 1e-9
            assert abs(a.mean() - b.mean()) < 4.5 * error, name
            if name != "Posterize":  # whose few values can be too rare for that
                assert a.std() == pytest.approx(b.std(), rel=0.3, abs=1e-6), name


def test_a_batch_comes_out_with_timms_colours() -> None:
    """Mean and deviation of each channel over many draws, of the whole policy."""
    images = photographs()[:-5]
    text, repeats = "rand-m9-mstd0.5-inc1", 12
    generator = torch.Generator().manual_seed(0)
    found = []
    for _ in range(repeats):
        batch = images
        for layer in draw_rand_augment(rand(text), len(images), (32, 32), "random", generator):
            batch = apply_layer(batch, layer, torch.tensor(FILL, dtype=torch.uint8))
        found.append(batch)
    random.seed(0)
    np.random.seed(0)
    theirs = timm.rand_augment_transform(text, {"img_mean": FILL})
    expected = from_pillow([theirs(image) for _ in range(repeats) for image in to_pillow(images)])
    ours = torch.cat(found)
    for channel in range(3):
        a, b = ours[:, channel].double(), expected[:, channel].double()
        each = a.mean((1, 2)).std() / len(a) ** 0.5
        assert abs(a.mean() - b.mean()) < 4 * 2**0.5 * each
        assert float(a.std()) == pytest.approx(float(b.std()), rel=0.05)


def test_the_strongest_posterize_of_timm_is_black_and_no_error() -> None:
    images = photographs()
    layers = draw_rand_augment(
        rand("rand-m10-inc1-p1-n20"), len(images), (32, 32), "bicubic", torch.Generator().manual_seed(0)
    )
    number = OPERATIONS.index("Posterize")
    bits = torch.cat([layer.argument[layer.operation == number] for layer in layers])
    assert len(bits) > 50
    assert (bits == 0).all()
    for layer in layers:
        made = apply_layer(images, layer, torch.tensor(FILL, dtype=torch.uint8))
        assert not made[layer.operation == number].any()


@pytest.mark.parametrize(("name", "kinds"), [("bilinear", {BILINEAR}), ("bicubic", {BICUBIC}), ("random", {1, 2})])
def test_interpolation(name: Any, kinds: set[int]) -> None:
    drawn = Counter(draw_interpolation(name, (1000,), torch.Generator().manual_seed(0)).tolist())
    assert set(drawn) == kinds
    assert min(drawn.values()) > 400


def test_the_learned_policy_gives_torchvisions_pixels() -> None:
    """All of its operations at all of its magnitudes, as torchvision's own code calls them."""
    images = photographs()
    theirs = AutoAugment(AutoAugmentPolicy.CIFAR10)
    space = theirs._augmentation_space(10, (32, 32))
    seen = set()
    generator = torch.Generator().manual_seed(0)
    for _ in range(12):
        for layer in draw_learned(learned(), len(images), (32, 32), generator):
            found = apply_layer(images, layer, torch.zeros(3, dtype=torch.uint8))
            for i, image in enumerate(to_pillow(images)):
                number, argument = int(layer.operation[i]), float(layer.argument[i])
                if number == NOTHING:
                    assert torch.equal(found[i], images[i])
                    continue
                name = OPERATIONS[number]
                enhance = name in ("Color", "Contrast", "Brightness", "Sharpness")
                magnitudes, signed = space[name]
                known = magnitudes.flatten().double() * (1 if not signed or argument >= enhance else -1)
                wanted = argument - 1 if enhance else argument
                magnitude = float(known[(known.trunc() if "Translate" in name else known).sub(wanted).abs().argmin()])
                expected = autoaugment._apply_op(image, name, magnitude, autoaugment.InterpolationMode.NEAREST, None)
                exact = not name.startswith(GEOMETRIC)
                if name.startswith("Translate"):  # the sign is drawn evenly, so its direction doesn't matter
                    moved = [
                        autoaugment._apply_op(image, name, m, autoaugment.InterpolationMode.NEAREST, None)
                        for m in (magnitude, -magnitude)
                    ]
                    assert any(torch.equal(found[i], from_pillow([m])[0]) for m in moved)
                else:
                    assert_alike(found[i : i + 1], [expected], mean=0 if exact else 2, far=0.02)
                seen.add((name, round(abs(argument), 3)))
    assert len({name for name, _ in seen}) == 13  # no ShearX, no SolarizeAdd
    assert len(seen) > 40


def test_the_learned_policy_draws_its_pairs_and_probabilities() -> None:
    count = 20000
    layers = draw_learned(learned(), count, (32, 32), torch.Generator().manual_seed(0))
    for place, layer in enumerate(layers):
        expected: Counter[int] = Counter()
        for pair in learned().pairs:
            name, probability, _ = pair[place]
            expected[OPERATIONS.index(name)] += probability / len(learned().pairs)
        found = Counter(layer.operation.tolist())
        for number, share in expected.items():
            error = (share * (1 - share) / count) ** 0.5
            assert abs(found[number] / count - share) < 4.5 * error + 1e-9, OPERATIONS[number]
