"""How timm's models lay out their tokens and norms, and what their `forward_intermediates` shows of patches."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from suite.models.sizes import Grid, PatchTokens


def own_position(network: nn.Module) -> bool:
    """Whether the model has an absolute PE of its own."""
    return isinstance(getattr(network, "pos_embed", None), nn.Parameter)


def network_norm(network: nn.Module) -> str | None:
    """The norm 'bn' for a network that has BatchNorm of feature maps and no LayerNorm; None for any other."""
    modules = list(network.modules())
    has_maps = any(isinstance(module, nn.BatchNorm2d) for module in modules)
    return "bn" if has_maps and not any(isinstance(module, nn.LayerNorm) for module in modules) else None


class Shown(NamedTuple):
    """What `show` returns. Patches are [batch, patches, width] each.

    Args:
        embedded: the patches before any position embedding is added.
        levels: the patches after each level that was asked for: a block, or a stage of a model in stages.
        normalised: the patches after the last norm.
        final: what the model's `forward_head` takes.
    """

    embedded: Tensor
    levels: tuple[Tensor, ...]
    normalised: Tensor
    final: Tensor


def show(network: Any, images: Tensor, indices: Sequence[int], grid: Grid | None = None) -> Shown:
    """Run a model up to its head, and keep the patches at several depths.

    Args:
        network: a timm model that has patch tokens, see `shown_patches`.
        images: [batch, channels, height, width].
        indices: the numbers of the levels, in ascending order.
        grid: rows and columns of the first level's patches; None if nobody looks at `Shown.embedded`.
    """
    caught: list[Any] = []
    handle = network.patch_embed.register_forward_hook(lambda module, inputs, output: caught.append(output))
    try:
        final, maps = network.forward_intermediates(images, indices=list(indices))
    finally:
        handle.remove()
    embedded = caught[0][0] if isinstance(caught[0], tuple) else caught[0]
    levels = tuple(one.flatten(2).transpose(1, 2) for one in maps)
    last = getattr(network, "output_fmt", "NCHW") == "NHWC"
    return Shown(
        _rows(embedded, last=grid is not None and tuple(embedded.shape[1:3]) == tuple(grid)),
        levels,
        _rows(final, last=last)[:, prefix_tokens(network) if final.ndim == 3 else 0 :],
        final,
    )


def prefix_tokens(network: nn.Module) -> int:
    """The number of tokens before the patches."""
    return int(getattr(network, "num_prefix_tokens", 0))


def _rows(x: Tensor, *, last: bool) -> Tensor:
    """Tokens in a row. last: of maps, whether their channels come last."""
    if x.ndim == 3:
        return x
    return x.flatten(1, 2) if last else x.flatten(2).transpose(1, 2)


@torch.no_grad()
def shown_patches(network: nn.Module, images: Tensor) -> PatchTokens | None:
    """The patch tokens that a model shows; None for a network of another kind.

    The model may be on the meta device.
    """
    asked = ("patch_embed", "forward_intermediates", "forward_head")
    if not all(hasattr(network, name) for name in asked) or network_norm(network) == "bn":
        return None
    maps: list[Tensor]
    try:
        _, maps = network.eval().forward_intermediates(images)  # type: ignore[operator]
        grids: list[Grid] = [(one.shape[2], one.shape[3]) for one in maps]
        found = show(network, images, range(len(maps)), grids[0])
        logits = network.forward_head(found.final)  # type: ignore[operator]
    except Exception:
        return None
    rows, columns = grids[-1]
    if found.normalised.shape[1] != rows * columns or not isinstance(logits, Tensor):
        return None
    width = int(found.normalised.shape[2])
    if len(set(grids)) == 1:
        return PatchTokens(grids[:1], [len(grids)], width)
    return PatchTokens(grids, [1] * len(grids), width)
