"""RandAugment and AutoAugment: draw the operations for each image."""

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

    Args:
        operation: An index in `OPERATIONS`, or `NOTHING`, int64 [B].
        argument: The operation's argument, float64 [B]: counter-clockwise degrees, bits to keep, a threshold, an
            amount, an enhancement factor, a shear, or the offset in pixels at which the input is read.
        interpolation: A constant of `suite.train.augmentation.geometry`, int64 [B].
    """

    operation: Tensor
    argument: Tensor
    interpolation: Tensor

    def take(self, images: Tensor) -> Layer:
        """The operations of the images at these indices, int64 [n]."""
        return Layer(self.operation[images], self.argument[images], self.interpolation[images])

    @classmethod
    def joined(cls, parts: Sequence[Layer]) -> Layer:
        """Concatenate the operations of several batches."""
        fields = ("operation", "argument", "interpolation")
        return cls(*(torch.cat([getattr(part, name) for part in parts]) for name in fields))


def draw_rand_augment(
    policy: RandAugment, count: int, size: tuple[int, int], interpolation: Interpolation, generator: torch.Generator
) -> list[Layer]:
    """Draw RandAugment's layers. They have the distribution of timm's, which draws for one image at a time.

    Args:
        policy: The parsed policy.
        count: Number of images.
        size: Height and width of the images.
        interpolation: The interpolation of geometric operations.
        generator: A generator on the CPU.
    """
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
    """The arguments of one operation, [n]. Source: timm 1.0, `LEVEL_TO_ARG`.

    Args:
        name: The operation.
        level: Magnitudes, [n]; 1.0 is timm's magnitude 10.
        sign: 1 or -1, [n].
        increasing: Whether a higher magnitude always means a stronger effect.
        height: Height of the images.
        width: Width of the images.
    """
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
    """Draw AutoAugment's two layers. They have the distribution of torchvision's, which draws for one image at a time.

    Args:
        policy: The parsed policy.
        count: Number of images.
        size: Height and width of the images.
        generator: A generator on the CPU.
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
    """The argument of a magnitude bin, without its sign. Source: torchvision's `AutoAugment._augmentation_space`.

    Args:
        name: The operation.
        bin_: The bin, from 0 to 9.
        height: Height of the images.
        width: Width of the images.
    """
    if name == "Posterize":
        return 8 - round(bin_ / (9 / 4))
    lengths = {"TranslateX": width, "TranslateY": height}
    spans = {"Rotate": 30.0, "ShearX": 0.3, "ShearY": 0.3} | dict.fromkeys(_ENHANCE, 0.9)
    spans |= {key: 150 / 331 * length for key, length in lengths.items()}
    bins = torch.linspace(255, 0, 10) if name == "Solarize" else torch.linspace(0, spans.get(name, 0), 10)
    value = bins[bin_].item()  # a float32 as in torchvision: its last digits can change a grey level
    return math.trunc(value) if name in lengths else value


def draw_interpolation(interpolation: Interpolation, shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
    """The interpolation of each image, int64 in the given shape.

    Args:
        interpolation: "bilinear", "bicubic", or "random": one of the two for each image.
        shape: The shape of the result.
        generator: A generator on the CPU.
    """
    if interpolation == "random":
        return torch.randint(BILINEAR, BICUBIC + 1, shape, generator=generator)
    return torch.full(shape, BICUBIC if interpolation == "bicubic" else BILINEAR)
