"""How alike the patches of an image are, layer by layer: what DiversePatch (arXiv 2104.12753) claims to lower."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from suite.data.images import Images
from suite.models.model import Model
from suite.models.sizes import Size
from suite.train.augmentation.pipeline import Normalise
from suite.train.losses.diversity import mean_similarity
from suite.train.steps.precision import Precision

SAMPLE = 64  # test images, at even distances; a hundredth of a test of CIFAR's
_PRODUCTS = 2**25  # at a time

Similarity = tuple[float, ...]  # after each block, from the first to the last


def sample(images: Images) -> Tensor:
    """The indices of the test images that are used: the same in each epoch of each training run."""
    count = min(SAMPLE, len(images))
    return torch.arange(count) * len(images) // count


@torch.inference_mode()
def layer_similarity(
    model: Model, images: Images, crop_ratio: float, normalise: Normalise, precision: Precision, device: torch.device
) -> Similarity | None:
    """The mean of |cos| over pairs of patches of an image after each block, and over the sample of the test images.

    model: on the device, in evaluation mode. None: the model has no patches, or in some block a single one, or they
    aren't finite.
    """
    size = model.architecture.size
    if not isinstance(size, Size) or (1, 1) in size.stage_grids(model.image_size):
        return None
    batch = normalise(images.batch(sample(images), crop_ratio).to(device))
    with precision.autocast(device):
        _, tokens = model(batch, range(sum(size.depths())))
    found = tuple(_mean(patches) for patches in tokens.blocks)
    return found if all(map(math.isfinite, found)) else None


def _mean(patches: Tensor) -> float:
    at_once = max(1, _PRODUCTS // patches.shape[1] ** 2)
    return torch.cat([mean_similarity(part) for part in patches.split(at_once)]).double().mean().item()
