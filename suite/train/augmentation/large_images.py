"""Augmentation of large images on a CPU, one image at a time and in place: each stays in the CPU's caches.

A batch of images of ImageNet's size doesn't fit there. Operations on whole batches would wait for memory, and the
system would have to clear the memory of each result. The values are those of `layers` and `crop_and_flip`.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from suite.train.augmentation.draws import Reading
from suite.train.augmentation.layers import apply_operation
from suite.train.augmentation.operations import NOTHING, Layer
from suite.train.augmentation.sizes import is_large
from suite.train.thread_pools import shared_pool

_Step = tuple[int, Tensor, int]  # an operation, its argument, and its interpolation


def suits(images: Tensor, reading: Reading) -> bool:
    """Whether `augment_each` can augment these images, and is faster than augmenting them together."""
    cropped = reading.moves is not None and reading.moves.padding > 0
    return is_large(images) and images.is_contiguous() and not cropped


def augment_each(images: Tensor, reading: Reading, fill: Tensor) -> None:
    """Apply all operations up to normalisation except crops, in place, on as many threads as torch has.

    Operations on one image are too small to be shared by threads. Each thread takes whole images.

    Args:
        images: uint8 [B, C, H, W], contiguous and on the CPU.
        reading: The draws.
        fill: The fill colour of the operations after the flip, uint8 [C]. Those before it fill with black.
    """
    black = torch.zeros_like(fill)
    before, after = ([_steps(layer) for layer in layers] for layers in (reading.before, reading.after))
    flipped = [False] * len(images) if reading.moves is None else reading.moves.flipped.tolist()

    def augment(i: int) -> None:
        start = image = images[i : i + 1]
        image = _apply(image, [steps[i] for steps in before], black)
        if flipped[i]:
            image = image.flip(3)
        image = _apply(image, [steps[i] for steps in after], fill)
        if image is not start:
            start.copy_(image)

    threads = torch.get_num_threads()
    each = map if threads == 1 else shared_pool(threads).map
    for _ in each(augment, range(len(images))):  # an error in a thread is raised here
        pass


def _steps(layer: Layer) -> list[_Step]:
    return list(zip(layer.operation.tolist(), layer.argument.split(1), layer.interpolation.tolist(), strict=True))


def _apply(image: Tensor, steps: Sequence[_Step], fill: Tensor) -> Tensor:
    for operation, argument, interpolation in steps:
        if operation != NOTHING:
            image = apply_operation(image, operation, argument, interpolation, fill)
    return image
