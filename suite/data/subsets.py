"""Subsets of a split with as many images of each class."""

from __future__ import annotations

import torch
from torch import Tensor

from suite.errors import InputError

# What the number of images is of, by the recipe key that sets it.
_SUBSETS = {"train_images": "a training subset", "corruptions.images": "a subset of the test images"}


def balanced_subset(labels: Tensor, count: int, seed: int | None = None, key: str = "train_images") -> Tensor:
    """The ascending indices of `count / classes` images of every class.

    If `count` isn't a multiple of the number of classes, the first classes get one image more each.

    Args:
        labels: int64 [N].
        count: the number of images.
        seed: draws the images; None: the first ones of each class in canonical order, the same for all trials.
        key: the recipe key that sets the number, for the error message.

    Raises:
        InputError: `count` is less than the number of classes, or a class has too few images.
    """
    classes = torch.unique(labels).tolist()
    if count < len(classes):
        raise InputError(
            f"{_SUBSETS[key]} with fewer images than classes",
            expected=f"{key} of at least {len(classes)}",
            found=str(count),
            where=f"the recipe's {key}",
            fix=f"raise {key} in the recipe, or set it to null for all images",
        )
    share, extra = divmod(count, len(classes))
    generator = None if seed is None else torch.Generator().manual_seed(seed)
    chosen = []
    for position, label in enumerate(classes):
        members = (labels == label).nonzero().flatten()
        wanted = share + (position < extra)
        if len(members) < wanted:
            raise InputError(
                f"{_SUBSETS[key]} larger than a class",
                expected=f"{wanted} images of class {label}, for a balanced subset of {count}",
                found=f"{len(members)} images",
                where=f"the recipe's {key}",
                fix=f"lower {key} in the recipe, or set it to null for all images",
            )
        if generator is not None:
            members = members[torch.randperm(len(members), generator=generator)]
        chosen.append(members[:wanted])
    return torch.cat(chosen).sort().values
