"""Rotary position embeddings of two dimensions (RoPE-ViT, arXiv 2403.13298)."""

from __future__ import annotations

import math

import torch
from torch import Generator, Tensor, nn

from suite.models.sites.site import Place, Rotation

AXIAL_BASE, MIXED_BASE = 100.0, 10.0  # of the frequencies, as in the released code


def frequencies(head_width: int, base: float) -> Tensor:
    """base^(-t / (d/4)) for t = 0, …, d/4 - 1, where d is the head width."""
    quarter = head_width // 4
    return base ** (-torch.arange(quarter, dtype=torch.float32) / quarter)


class AxialRotation(Rotation):
    """θ_t · column for the first half of a head's channel pairs, θ_t · row for the second (RoPE-Axial).

    The paper's formula alternates the two axes. The released code has one after the other, as here. That is the same
    function up to the order of q's and k's channels.
    """

    per_block = False
    angles: Tensor

    def __init__(self, place: Place) -> None:
        super().__init__(place)
        row, column = place.rows_and_columns()
        theta = frequencies(place.head_width, AXIAL_BASE)
        angles = torch.cat([column[:, None] * theta, row[:, None] * theta], dim=1)
        self.register_buffer("angles", angles, persistent=False)

    def forward(self) -> Tensor:
        """[patches, head width / 2]."""
        return self.angles


class MixedRotation(Rotation):
    """θ^x_t · column + θ^y_t · row, with frequencies that each head of each layer learns (RoPE-Mixed).

    `frequencies` is [2, heads, head width / 2], θ^x and θ^y. As in the released code, a head starts with axial
    frequencies along two orthogonal directions, at a random angle to the grid.
    """

    no_decay = True
    row: Tensor
    column: Tensor

    def __init__(self, place: Place) -> None:
        super().__init__(place)
        row, column = place.rows_and_columns()
        self.register_buffer("row", row[:, None], persistent=False)
        self.register_buffer("column", column[:, None], persistent=False)
        self.frequencies = nn.Parameter(torch.zeros(2, place.heads, place.head_width // 2))

    @torch.no_grad()
    def start(self, name: str, drawn: Tensor, generator: Generator) -> None:
        """Draw each head's direction uniformly; arguments as in `Site.start`."""
        _, heads, pairs = drawn.shape
        theta = frequencies(2 * pairs, MIXED_BASE)
        direction = torch.rand(heads, 1, generator=generator, device="cpu") * (2 * math.pi)
        drawn[0] = torch.cat([theta * direction.cos(), -theta * direction.sin()], dim=1)
        drawn[1] = torch.cat([theta * direction.sin(), theta * direction.cos()], dim=1)

    def forward(self) -> Tensor:
        """[heads, patches, head width / 2]."""
        along_x, along_y = self.frequencies[:, :, None]
        angles: Tensor = self.column * along_x + self.row * along_y
        return angles
