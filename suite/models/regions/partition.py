"""From the prototypes of an image to its regions, and which of them are background."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import normalize, one_hot

from suite.models.regions.network import ConceptGenerator


class Partition(NamedTuple):
    """The regions of several images.

    Attributes:
        labels: the region of each patch, [images, patches]; the regions of an image are numbered from 0 without gaps.
        counts: the number of regions of each image, [images].
    """

    labels: Tensor
    counts: Tensor


def similarities(features: Tensor, prototypes: Tensor) -> Tensor:
    """The cosine of each patch and each prototype, [images, patches, prototypes].

    Args:
        features: of the patches, [images, patches, width].
        prototypes: of each image, [images, prototypes, width].
    """
    return normalize(features, dim=2) @ normalize(prototypes, dim=2).mT


def partition(similarity: Tensor) -> Partition:
    """Give each patch to its most similar prototype. Prototypes without patches are no regions.

    similarity: of each patch to each prototype, [images, patches, prototypes]; or that times a positive factor for each
        patch.
    """
    nearest = similarity.argmax(dim=2)
    used = one_hot(nearest, similarity.shape[2]).amax(dim=1)
    return Partition((used.cumsum(dim=1) - 1).gather(1, nearest), used.sum(dim=1))


@torch.inference_mode()
def segment(network: ConceptGenerator, features: Tensor, batch_size: int = 32) -> Partition:
    """The regions of images by a trained network.

    Args:
        network: the network. It is used in evaluation mode, and left in the mode that it had.
        features: of the patches, [images, patches, width].
        batch_size: how many images are computed at once.
    """
    training = network.training
    network.eval()
    # Unlike `similarities`, this leaves the patches at their length: it is positive, and changes no argmax.
    parts = [partition(batch @ normalize(network(batch), dim=2).mT) for batch in features.split(batch_size)]
    network.train(training)
    labels, counts = (torch.cat(part) for part in zip(*parts, strict=True))
    return Partition(labels, counts)


def foreground(partition: Partition, attention: Tensor) -> Tensor:
    """Which patches are foreground, bool [images, patches].

    The attention is summed over each region. The sums of an image are split into the two groups with the least sum of
    squares within groups (2-means), and the regions of the upper group are foreground. If all sums are equal, such as
    that of a single region, all is foreground.

    Args:
        partition: the regions.
        attention: that the backbone's last layer pays to each patch, [images, patches].
    """
    most = int(partition.counts.max())
    sums = attention.new_zeros(len(attention), most).scatter_add_(1, partition.labels, attention)
    least = torch.stack(
        [_upper_group(values[:count]) for values, count in zip(sums, partition.counts.tolist(), strict=True)]
    )
    return sums.gather(1, partition.labels) >= least[:, None]


def _upper_group(values: Tensor) -> Tensor:
    """The smallest value of the upper of two groups of numbers: the optimum of 2-means, by all splits in order."""
    values = values.sort().values
    if values[0] == values[-1]:
        return values[0]
    count, whole = len(values), values.cumsum(0)
    sizes = torch.arange(1, count, device=values.device)
    # The squares within groups are least where those of the groups' means, weighted by sizes, are largest.
    between = whole[:-1].square() / sizes + (whole[-1] - whole[:-1]).square() / (count - sizes)
    return values[1 + int(between.argmax())]
