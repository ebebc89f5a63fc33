"""RandAugment and AutoAugment: what is drawn for each image."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from suite.grid.auto_augment import LEVELS, RAND_OPERATIONS, LearnedPolicy, RandAugment
from suite.train.augmentation.geometry import BICUBIC, BILINEAR, NEAREST

Interpolation = Literal["bilinear", "bicubic", "random"]
NOTHING = -1
Reals = NDArray[np.float64]

_ENHANCE = ("Color", "Contrast", "Brightness", "Sharpness")
_GEOMETRY = ("Rotate", "ShearX", "ShearY", "TranslateX", "TranslateY")
OPERATIONS = tuple(name.removesuffix("Rel") for name in RAND_OPERATIONS)


@dataclass(frozen=True)
class Layer:
    """One operation for each image of a batch.

    operation: int64 [B], a place in `OPERATIONS`, or `NOTHING`. argument: float64 [B]: degrees counter-clockwise, bits
    to keep, a threshold, an amount, a factor of enhancement, a shear, or pixels by which the input is read further on.
    interpolation: int64 [B], of `suite.train.augmentation.geometry`.
    """

    operation: Tensor
    argument: Tensor
    interpolation: Tensor

    def take(self, images: Tensor) -> Layer:
        """Of these images alone, int64 [n]."""
        return Layer(self.operation[images], self.argument[images], self.interpolation[images])

    @classmethod
    def joined(cls, parts: Sequence[Layer]) -> Layer:
        """Those of several batches, one after another."""
        fields = ("operation", "argument", "interpolation")
        return cls(*(torch.cat([getattr(part, name) for part in parts]) for name in fields))


def draw_rand_augment(
    policy: RandAugment, count: int, size: tuple[int, int], interpolation: Interpolation, generator: torch.Generator
) -> list[Layer]:
    """The layers for `count` images of this height and width, as timm draws them for one image after another."""
    shape = (policy.layers, count)
    drawn = torch.randint(0, len(OPERATIONS), shape, generator=generator).numpy()
    applied = torch.rand(shape, generator=generator).numpy() < policy.probability
    level = np.full(shape, float(policy.magnitude))
    if policy.magnitude_std == float("inf"):
        level *= torch.rand(shape, generator=generator, dtype=torch.float64).numpy()
    elif policy.magnitude_std > 0:
        level += policy.magnitude_std * torch.randn(shape, generator=generator, dtype=torch.float64).numpy()
    level = level.clip(0, policy.magnitude_max) / LEVELS
    sign = 1.0 - 2.0 * torch.randint(0, 2, shape, generator=generator).numpy()
    kind = draw_interpolation(interpolation, shape, generator)

    argument = np.zeros(shape)
    for number, name in enumerate(OPERATIONS):
        chosen = (drawn == number).nonzero()
        argument[chosen] = _argument(name, level[chosen], sign[chosen], policy.increasing, *size)
    operation = torch.from_numpy(np.where(applied, drawn, NOTHING))
    return [Layer(*parts) for parts in zip(operation, torch.from_numpy(argument), kind, strict=True)]


def _argument(name: str, level: Reals, sign: Reals, increasing: bool, height: int, width: int) -> Reals:
    """An operation's argument. level: magnitudes, of which 1.0 is timm's 10. Source: timm 1.0, `LEVEL_TO_ARG`."""
    if name in _ENHANCE:
        return np.maximum(1 + sign * level * 0.9, 0.1) if increasing else level * 1.8 + 0.1
    if name == "Posterize":
        bits = np.trunc(level * 4)
        return 4 - bits if increasing else bits
    if name == "Solarize":
        threshold = np.minimum(np.trunc(level * 256), 256)
        return 256 - threshold if increasing else threshold
    if name == "SolarizeAdd":
        return np.minimum(np.trunc(level * 110), 128)
    spans = {"Rotate": 30.0, "ShearX": 0.3, "ShearY": 0.3, "TranslateX": 0.45 * width, "TranslateY": 0.45 * height}
    return sign * level * spans[name] if name in spans else level


def draw_learned(policy: LearnedPolicy, count: int, size: tuple[int, int], generator: torch.Generator) -> list[Layer]:
    """The two layers for `count` images of this height and width.

    As torchvision's AutoAugment draws them for one image after another.
    """
    pair = torch.randint(0, len(policy.pairs), (count,), generator=generator)
    chance = torch.rand(2, count, generator=generator)
    sign = 1.0 - 2.0 * torch.randint(0, 2, (2, count), generator=generator)
    nearest = torch.full((count,), NEAREST)
    layers = []
    for place in range(2):
        steps = [pair_[place] for pair_ in policy.pairs]
        number = torch.tensor([OPERATIONS.index(name) for name, _, _ in steps])
        probability = torch.tensor([p for _, p, _ in steps])
        sizes = torch.tensor([_learned_size(name, bin_, *size) for name, _, bin_ in steps], dtype=torch.float64)[pair]
        signed = torch.tensor([name in (*_ENHANCE, *_GEOMETRY) for name, _, _ in steps])[pair]
        argument = torch.where(signed, sizes * sign[place], sizes)
        enhances = torch.tensor([name in _ENHANCE for name, _, _ in steps])[pair]
        operation = torch.where(chance[place] <= probability[pair], number[pair], NOTHING)
        layers.append(Layer(operation, torch.where(enhances, 1 + argument, argument), nearest))
    return layers


def _learned_size(name: str, bin_: int, height: int, width: int) -> float:
    """What a bin of magnitude means, without the sign. Source: torchvision's `AutoAugment._augmentation_space`."""
    if name == "Posterize":
        return 8 - round(bin_ / (9 / 4))
    lengths = {"TranslateX": width, "TranslateY": height}
    spans = {"Rotate": 30.0, "ShearX": 0.3, "ShearY": 0.3} | dict.fromkeys(_ENHANCE, 0.9)
    spans |= {key: 150 / 331 * length for key, length in lengths.items()}
    bins = torch.linspace(255, 0, 10) if name == "Solarize" else torch.linspace(0, spans.get(name, 0), 10)
    value = bins[bin_].item()  # a float32: its last digits can decide a grey level
    return math.trunc(value) if name in lengths else value


def draw_interpolation(interpolation: Interpolation, shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
    """int64 of the shape: the one that is named, or one of the two at random."""
    if interpolation == "random":
        return torch.randint(BILINEAR, BICUBIC + 1, shape, generator=generator)
    return torch.full(shape, BICUBIC if interpolation == "bicubic" else BILINEAR)
