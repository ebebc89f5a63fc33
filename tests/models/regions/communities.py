"""Small networks, and images whose patches belong to planted communities."""

from __future__ import annotations

import torch
from torch import Tensor

from suite.models.regions.network import ConceptGenerator

SMALL = {"updates": 2, "heads": 2, "hidden": 32}


def small(width: int = 16, prototypes: int = 5, seed: int = 0) -> ConceptGenerator:
    torch.manual_seed(seed)
    return ConceptGenerator(width, prototypes=prototypes, **SMALL)


def planted(
    groups: int, *, seed: int, patches: int = 24, width: int = 16, noise: float = 0.25
) -> tuple[Tensor, Tensor]:
    """The features of an image with equal communities around orthogonal directions, and the community of each patch."""
    draw = torch.Generator().manual_seed(seed)
    centres = torch.linalg.qr(torch.randn(width, width, generator=draw)).Q[:groups]
    truth = torch.arange(patches).remainder(groups)[torch.randperm(patches, generator=draw)]
    return centres[truth] + 0.25 * torch.randn(patches, width, generator=draw) / width**0.5, truth


def same(first: Tensor, second: Tensor) -> bool:
    """Whether two labellings have the same regions."""
    return torch.equal(first[:, None] == first, second[:, None] == second)
