"""Photometric distortion: random brightness, contrast, saturation and hue of each image.

Source: `PhotoMetricDistortion` of MMSegmentation, after SSD (arXiv 1512.02325): each of the four with probability 1/2,
contrast before or after saturation and hue. Colours are uint8 before and after each of them, as there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from suite.data.transfer import to_device

BRIGHTNESS = 32.0  # the most that is added to or taken from a channel of 0 to 255
CONTRAST = SATURATION = (0.5, 1.5)  # factors
HUE = 36.0  # the most degrees by which a hue is turned


@dataclass(frozen=True)
class Distortion:
    """The random numbers of B images, on the CPU.

    Args:
        values: float32 [B, 4]: added brightness, factor of contrast, factor of saturation, and degrees of hue. Where
            there is none, 0, 1, 1 and 0.
        last: whether contrast comes last, bool [B].
    """

    values: Tensor
    last: Tensor

    def take(self, images: Tensor) -> Distortion:
        """The draws for the images at these indices, int64 [n]."""
        return Distortion(self.values[images], self.last[images])

    @classmethod
    def joined(cls, parts: Sequence[Distortion]) -> Distortion:
        """Concatenate the draws for several batches."""
        return cls(torch.cat([part.values for part in parts]), torch.cat([part.last for part in parts]))


def draw_distortion(count: int, generator: torch.Generator) -> Distortion:
    """Draw the distortion of `count` images. generator: on the CPU."""
    chosen = torch.rand(count, 5, generator=generator) < 0.5
    uniform = torch.rand(count, 4, generator=generator)
    low = torch.tensor([-BRIGHTNESS, CONTRAST[0], SATURATION[0], -HUE])
    high = torch.tensor([BRIGHTNESS, CONTRAST[1], SATURATION[1], HUE])
    nothing = torch.tensor([0.0, 1.0, 1.0, 0.0])
    values = torch.where(chosen[:, :4], low + (high - low) * uniform, nothing)
    return Distortion(values, chosen[:, 4])


def distort(images: Tensor, distortion: Distortion) -> Tensor:
    """Change the colours of images, uint8 [B, 3, H, W], on any device. Images of one channel have no hue.

    images: uint8 [B, 1 or 3, H, W]. Returns the same shape.
    """
    values = to_device(distortion.values, images.device)[:, :, None, None, None].unbind(1)
    last = to_device(distortion.last, images.device)[:, None, None, None]
    brightness, contrast, saturation, hue = values
    x = _rounded(images.float() + brightness)
    x = torch.where(last, x, _rounded(x * contrast))
    if images.shape[1] == 3:
        x = torch.where(saturation == 1, x, _rounded(_from_hsv(*_scaled(_to_hsv(x), saturation))))
        x = torch.where(hue == 0, x, _rounded(_from_hsv(*_turned(_to_hsv(x), hue))))
    return torch.where(last, _rounded(x * contrast), x).to(torch.uint8)


def _rounded(x: Tensor) -> Tensor:
    return x.clamp(0, 255).floor()


def _scaled(hsv: tuple[Tensor, Tensor, Tensor], factor: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    hue, saturation, value = hsv
    return hue, (saturation * factor[:, 0]).clamp(0, 1), value


def _turned(hsv: tuple[Tensor, Tensor, Tensor], degrees: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    hue, saturation, value = hsv
    return (hue + degrees[:, 0] / 60) % 6, saturation, value


def _to_hsv(x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Hue in sixths of a turn, saturation from 0 to 1 and value from 0 to 255, [B, H, W] each, of [B, 3, H, W]."""
    red, green, blue = x.unbind(1)
    value, least = x.amax(1), x.amin(1)
    chroma = value - least
    safe = chroma.clamp(min=1e-6)
    hue = torch.where(
        value == red,
        ((green - blue) / safe) % 6,
        torch.where(value == green, (blue - red) / safe + 2, (red - green) / safe + 4),
    )
    return torch.where(chroma == 0, 0, hue), chroma / value.clamp(min=1e-6), value


def _from_hsv(hue: Tensor, saturation: Tensor, value: Tensor) -> Tensor:
    """The inverse of `_to_hsv`: [B, 3, H, W]."""
    channels = []
    for shift in (5, 3, 1):
        place = (hue + shift) % 6
        channels.append(value - value * saturation * torch.minimum(place, 4 - place).clamp(0, 1))
    return torch.stack(channels, dim=1) + 1e-3  # a channel that comes back as 99.9999 is 100
