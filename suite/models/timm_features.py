"""The tokens after each block, in the forms in which timm's models return them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor


def packed(
    taken: list[Tensor],
    final: Tensor | None,
    *,
    prefix: int,
    grid: Sequence[int],
    return_prefix_tokens: bool,
    output_fmt: str,
    output_dict: bool,
) -> Any:
    """What `forward_intermediates` of timm's VisionTransformer returns.

    Args:
        taken: the tokens after the blocks that are asked for, [batch, prefix + patches, width] each.
        final: the normalised tokens after the last block that ran; None if only the others are wanted.
        prefix: the number of tokens before the patches.
        grid: rows and columns of the patches.
        return_prefix_tokens: whether the prefix tokens are wanted beside the patches.
        output_fmt: "NCHW" for patches as maps, "NLC" for patches in a row.
        output_dict: whether a dictionary is wanted.
    """
    if output_fmt not in ("NCHW", "NLC"):
        raise AssertionError("Output format must be one of NCHW or NLC.")  # as in timm
    before = [x[:, :prefix] for x in taken]
    patches = [x[:, prefix:] for x in taken]
    if output_fmt == "NCHW":
        patches = [x.transpose(1, 2).unflatten(2, tuple(grid)).contiguous() for x in patches]
    if output_dict:
        named: dict[str, Any] = {"image_intermediates": patches}
        if prefix and return_prefix_tokens:
            named["image_intermediates_prefix"] = before
        return named if final is None else {**named, "image_features": final}
    listed: list[Any] = list(zip(patches, before, strict=True)) if prefix and return_prefix_tokens else list(patches)
    return listed if final is None else (final, listed)
