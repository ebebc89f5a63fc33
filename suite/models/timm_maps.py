"""The last feature map of a timm model, as a row of features."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor

from suite.errors import InputError
from suite.models.backbone_size import FeatureMap
from suite.models.sizes import Grid
from suite.models.timm_checks import meta_images, meta_network
from suite.models.timm_layout import prefix_tokens
from suite.models.timm_size import TimmSize


@lru_cache(maxsize=256)
def feature_map(size: TimmSize, image_size: int) -> FeatureMap | None:
    """The features that `forward_features` of a timm model gives; None if they fill no grid."""
    network = meta_network(size, image_size)
    if isinstance(network, InputError) or not hasattr(network, "forward_features"):
        return None
    try:
        with torch.no_grad():
            found = network.eval().forward_features(meta_images(image_size))  # type: ignore[operator]
    except Exception:  # whatever a model of timm's raises that its author didn't write for such images
        return None
    if not isinstance(found, Tensor) or found.ndim not in (3, 4):
        return None
    if found.ndim == 3:
        grid = _grid(network, found.shape[1] - prefix_tokens(network))
        return None if grid is None else FeatureMap(grid, int(found.shape[2]))
    rows, columns, width = found.shape[1:] if _channels_last(network) else (*found.shape[2:], found.shape[1])
    return FeatureMap((int(rows), int(columns)), int(width))


def features(network: Any, images: Tensor) -> Tensor:
    """Run a timm model up to its head: images to features, [batch, rows × columns, channels].

    network: a model of which `feature_map` knows the map.
    """
    found: Tensor = network.forward_features(images)
    if found.ndim == 3:
        return found[:, prefix_tokens(network) :]
    return found.flatten(1, 2) if _channels_last(network) else found.flatten(2).transpose(1, 2)


def _channels_last(network: Any) -> bool:
    return getattr(network, "output_fmt", "NCHW") == "NHWC"


def _grid(network: Any, tokens: int) -> Grid | None:
    """The rows and columns of so many tokens; None if they fill no grid."""
    side = math.isqrt(max(tokens, 0))
    known = getattr(getattr(network, "patch_embed", None), "grid_size", None) or (side, side)
    return (int(known[0]), int(known[1])) if tokens > 0 and known[0] * known[1] == tokens else None
