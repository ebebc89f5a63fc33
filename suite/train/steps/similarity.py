"""How similar the patches of an image are after each block, which DiversePatch (arXiv 2104.12753) claims to lower."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from suite.data.images import Images
from suite.models.model import Model
from suite.train.losses.diversity import mean_similarity
from suite.train.steps.precision import Precision

SAMPLE = 64  # evenly spaced test images; this costs a hundredth of a pass over CIFAR's test set
_PRODUCTS = 2**25  # the largest number of patch pairs at a time

Similarity = tuple[float, ...]  # one value per block, from the first to the last


def sample(images: Images) -> Tensor:
    """The indices of the test images to use, int64. They are the same in every epoch of every training run."""
    count = min(SAMPLE, len(images))
    return torch.arange(count) * len(images) // count


@torch.inference_mode()
def layer_similarity(
    model: Model,
    images: Images,
    crop_ratio: float,
    inputs: Callable[[Tensor], Tensor],
    precision: Precision,
    device: torch.device,
) -> Similarity | None:
    """The mean of |cos| over pairs of patches of an image, averaged over the sample of test images, for each block.

    Args:
        model: The model, on the device and in evaluation mode.
        images: The test images.
        crop_ratio: The recipe's `test_crop_ratio`.
        inputs: Makes the model's input of stored pixels, as the data set's normalisation does.
        precision: The precision of the forward pass.
        device: The device.

    Returns:
        One value per block; None if the model has or shows no patches, a block has only one patch, or a value isn't
        finite.
    """
    patches = model.architecture.size.patch_tokens(model.image_size)
    if patches is None or (1, 1) in patches.grids:
        return None
    batch = inputs(images.batch(sample(images), crop_ratio).to(device))
    with precision.autocast(device):
        output = model(batch, range(sum(patches.depths)))
    if isinstance(output, Tensor):  # a model from outside, which needn't show its patches
        return None
    _, tokens = output
    found = tuple(_mean(seen) for seen in tokens.blocks)
    return found if all(map(math.isfinite, found)) else None


def _mean(patches: Tensor) -> float:
    at_once = max(1, _PRODUCTS // patches.shape[1] ** 2)
    return torch.cat([mean_similarity(part) for part in patches.split(at_once)]).double().mean().item()
