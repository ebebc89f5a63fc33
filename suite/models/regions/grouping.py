"""The three ways to group an image's patches: DCN's prototypes, k-means, spectral clustering."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import one_hot

from suite.models.region_size import RegionSize
from suite.models.regions.baselines import Labels, kmeans_regions, spectral_regions
from suite.models.regions.network import ConceptGenerator
from suite.models.regions.partition import similarities
from suite.store.canonical import derive_seed

_SEEDS = 2**32  # scikit-learn takes seeds below


class Grouped(NamedTuple):
    """The patches of a batch with the regions that they belong to.

    Attributes:
        similarities: of each patch to each region, [images, patches, regions]. A patch is in the region with the
            largest. Of a clustering: 1 for the patch's cluster, else 0.
        features: of the patches, [images, patches, width], without gradients.
    """

    similarities: Tensor
    features: Tensor


class Prototypes(ConceptGenerator):
    """DCN's network, which is trained."""

    def __init__(self, size: RegionSize) -> None:
        super().__init__(
            size.embed_dim,
            prototypes=size.regions,
            updates=size.updates,
            heads=size.prototype_heads,
            hidden=size.prototype_hidden,
        )
        self.size = size

    def drawn(self, seed: int) -> dict[str, Tensor]:
        """The initial weights for a seed, by name. The state of torch's generators doesn't change."""
        with torch.random.fork_rng(devices=[]), torch.device("cpu"):
            torch.manual_seed(derive_seed(seed, "prototypes"))
            return dict(Prototypes(self.size).named_parameters())

    def forward(self, features: Tensor) -> Tensor:
        """Map features [images, patches, width] to cosines [images, patches, prototypes]."""
        return similarities(features, super().forward(features))


class Clusters(nn.Module):
    """A clustering of each image by scikit-learn. Nothing is trained; the seed of its starts is the model's.

    A trace, which counts operations, doesn't see the clustering: it gets clusters of zeros.
    """

    seed: Tensor

    def __init__(self, size: RegionSize) -> None:
        super().__init__()
        self._count = size.regions
        self._cluster: Callable[[Tensor, int, int], Labels] = {
            "kmeans": kmeans_regions, "spectral": spectral_regions,
        }[size.grouping]  # fmt: skip
        self.register_buffer("seed", torch.zeros((), dtype=torch.int64))

    def drawn(self, seed: int) -> dict[str, Tensor]:
        """No weights: set the seed of the starts."""
        self.seed.fill_(derive_seed(seed, "clusters") % _SEEDS)
        return {}

    def forward(self, features: Tensor) -> Tensor:
        """Map features [images, patches, width] to the membership in clusters, [images, patches, clusters]."""
        traced: bool = torch.jit.is_tracing()  # type: ignore[attr-defined, no-untyped-call]
        if features.is_meta or traced:
            return features.new_zeros(*features.shape[:2], self._count)
        with torch.inference_mode(False):
            labels = torch.from_numpy(self._cluster(features.detach().float(), self._count, int(self.seed)))
        return one_hot(labels.to(features.device), self._count).to(features.dtype)


def grouping_of(size: RegionSize) -> Prototypes | Clusters:
    """The module that groups patches as the size says."""
    return Prototypes(size) if size.trained else Clusters(size)
