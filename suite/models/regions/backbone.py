"""Frozen transformers whose last layer gives patch features: the suite's own, or timm's by name."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import torch
from timm.layers.attention import Attention as TimmAttention
from timm.layers.pos_embed import resample_abs_pos_embed
from timm.models.vision_transformer import VisionTransformer as TimmVisionTransformer
from timm.models.vision_transformer import checkpoint_filter_fn
from torch import Tensor, nn

from suite.errors import InputError, first_line
from suite.models.build import build_model
from suite.models.embedding import BlockTerms
from suite.models.families.transformer import VisionTransformer
from suite.models.layers.blocks import Attention, plus
from suite.models.weights.checkpoint import Checkpoint, read_checkpoint
from suite.models.weights.reading import read_state
from suite.models.weights.unwrapping import listed


class Features(NamedTuple):
    """What the last layer of a backbone gives of images.

    Attributes:
        patches: the patch tokens after the final norm, [images, patches, width].
        attention: that the class token pays to each patch in the last block, summed over heads, [images, patches].
            Without a class token, the mean over the patches as queries.
    """

    patches: Tensor
    attention: Tensor


@dataclass(frozen=True)
class Backbone:
    """A frozen transformer in evaluation mode.

    Attributes:
        model: the transformer.
        image_size: pixels a side of the square images that it takes.
        name: of its architecture.
        dataset: that the suite trained it on; None of timm's.
        mean: of each channel of timm's input, on a scale from 0 to 1; None of the suite's own.
        std: likewise, the standard deviations.
    """

    model: nn.Module
    image_size: int
    name: str
    dataset: str | None = None
    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None

    @torch.inference_mode()
    def features(self, images: Tensor, batch_size: int = 32) -> Features:
        """The features of images [images, channels, image_size, image_size], which are normalised already."""
        with _last_attention(self.model) as weights:
            patches = torch.cat([self._patches(batch) for batch in images.split(batch_size)])
        seen = torch.cat([each.sum(dim=1) for each in weights])  # over heads: [images, queries, keys]
        prefix = seen.shape[2] - patches.shape[1]
        of_queries = seen[:, 0] if prefix else seen.mean(dim=1)
        return Features(patches, of_queries[:, prefix:])

    @torch.inference_mode()
    def image_features(self, images: Tensor, batch_size: int = 32) -> Tensor:
        """One feature for each image, [images, width]: the class token after the final norm.

        Without a class token, the mean over the patch tokens.

        Args:
            images: [images, channels, image_size, image_size], which are normalised already.
            batch_size: how many images are computed at once.
        """
        return torch.cat([self._image(batch) for batch in images.split(batch_size)])

    def _image(self, images: Tensor) -> Tensor:
        model: Any = self.model
        if isinstance(self.model, VisionTransformer):
            if not model.position.prefix:
                return self._patches(images).mean(dim=1)
            feature: Tensor = model.norm(model.encode(model.embed(images)))[:, 0]
            return feature
        if model.cls_token is None:
            return self._patches(images).mean(dim=1)
        feature = model.forward_features(images)[:, 0]
        return feature

    def _patches(self, images: Tensor) -> Tensor:
        if isinstance(self.model, VisionTransformer):
            _, tokens = self.model(images, watched=(-1,))
            normalised: Tensor = tokens.normalised
            return normalised
        model: Any = self.model
        patches: Tensor = model.forward_features(images)[:, model.num_prefix_tokens :]
        return patches


def read_backbone(weights: Path | None, name: str | None, image_size: int) -> Backbone:
    """Read a backbone, for images of another size too: a learned position embedding is interpolated.

    Args:
        weights: a file of `lape run --keep-weights`, or one of a timm model's weights.
        name: timm's, such as "vit_small_patch16_224.dino"; None for a file of the suite. Without a file, timm takes its
            pretrained weights from the hub's cache, or downloads them.
        image_size: pixels a side of the images.

    Raises:
        InputError: neither is given, the file can't be read, the model isn't known, its weights don't fit, or it isn't
            a vision transformer of one grid of patches.
    """
    if name is not None:
        return _of_timm(name, weights, image_size)
    checkpoint = None if weights is None else read_checkpoint(weights)
    if checkpoint is None:
        raise InputError(
            "it isn't known which model the features come from",
            expected="a file as `lape run --keep-weights` writes it, or the name of a timm model",
            found="neither" if weights is None else "a file that doesn't describe its model",
            where="" if weights is None else str(weights),
            fix="give the model's name as well",
        )
    model = _resized(checkpoint, image_size, str(weights))
    return Backbone(model.eval().requires_grad_(False), image_size, checkpoint.cell.arch.name, checkpoint.dataset)


def _resized(checkpoint: Checkpoint, image_size: int, where: str) -> VisionTransformer:
    """The model of a checkpoint, for images of this size."""
    old, cell = checkpoint.model, checkpoint.cell
    if not isinstance(old, VisionTransformer):
        raise _unfit(cell.arch.name, where)
    new = build_model(replace(cell, shape=replace(cell.shape, image_size=image_size)))
    assert isinstance(new, VisionTransformer)
    state, own = dict(old.state_dict()), new.state_dict()
    for key in [key for key in state if key.startswith("position.tables.") and state[key].shape != own[key].shape]:
        rows, columns = new.position.grid
        fixed = new.position.position.table is not None
        state[key] = (
            own[key]
            if fixed
            else resample_abs_pos_embed(
                state[key], [rows, columns], list(old.position.grid), num_prefix_tokens=new.position.prefix
            )
        )
    if unlike := [key for key in state if state[key].shape != own[key].shape]:
        raise InputError(
            "the model can't take images of another size than it was trained on",
            expected=f"images of {cell.shape.image_size}×{cell.shape.image_size}",
            found=f"images of {image_size}×{image_size}, for which {listed(unlike)} would have another shape",
            where=where,
            fix="give that size, or the weights of a model with an absolute position embedding",
        )
    new.load_state_dict(state)
    return new


def _of_timm(name: str, weights: Path | None, image_size: int) -> Backbone:
    import timm

    state = None if weights is None else read_state(weights)
    try:
        model = timm.create_model(name, pretrained=state is None, num_classes=0, img_size=image_size)
    except (OSError, RuntimeError, ValueError, TypeError, AssertionError) as error:
        raise InputError(
            f"timm's model {name!r} can't be used",
            expected="the name of a vision transformer of timm's, with weights in a file, in the hub's cache or online",
            found=first_line(error),
            where=name,
            fix="`timm.list_models('vit_*')` lists the names; get the file elsewhere, and give it as well",
        ) from error
    # A subclass may have other blocks; the attention of this class is known.
    if type(model) is not TimmVisionTransformer or not isinstance(model.blocks[-1].attn, TimmAttention):
        raise _unfit(name, name)
    if state is not None:
        _load(model, state, name, str(weights))
    config: Any = model.pretrained_cfg
    return Backbone(
        model.eval().requires_grad_(False),
        image_size,
        name,
        mean=tuple(config["mean"]),
        std=tuple(config["std"]),
    )


def _load(model: TimmVisionTransformer, state: Mapping[str, Tensor], name: str, where: str) -> None:
    """Load weights of a timm model, with or without the class head. Raise `InputError` if they don't fit."""
    body = {key: value for key, value in state.items() if not key.startswith("head.")}
    try:
        model.load_state_dict(checkpoint_filter_fn(body, model))
    except (RuntimeError, KeyError, ValueError, AssertionError) as error:
        raise InputError(
            f"these are not the weights of {name!r}",
            expected=f"all weights of timm's {name}, and no others but a class head",
            found=" ".join(str(error).split())[:300],
            where=where,
            fix="give the name by which timm built the model that was trained",
        ) from error


def _unfit(name: str, where: str) -> InputError:
    return InputError(
        f"{name} gives no patch features",
        expected="a vision transformer with one grid of patches: of the suite, or a plain one of timm's",
        found=name,
        where=where,
        fix="choose another model",
    )


@contextmanager
def _last_attention(model: nn.Module) -> Iterator[list[Tensor]]:
    """Collect the attention weights of the last block, [images, heads, queries, keys], in the forward passes within."""
    found: list[Tensor] = []
    block: Any = model.blocks[-1]  # type: ignore[index]
    if isinstance(model, VisionTransformer):
        handle = block.attention.register_forward_pre_hook(
            lambda layer, inputs: found.append(attention_weights(layer, *inputs))
        )
    else:
        block.attn.fused_attn = False  # the fused kernel doesn't return the weights
        handle = block.attn.attn_drop.register_forward_hook(lambda layer, inputs, output: found.append(output))
    try:
        yield found
    finally:
        handle.remove()


def attention_weights(attention: Attention, x: Tensor, at: BlockTerms) -> Tensor:
    """The attention weights of one of the suite's layers, [images, heads, queries, keys].

    Args:
        attention: the layer.
        x: its input, [images, tokens, width].
        at: what the position does in its block.
    """
    q, k, _ = attention.project(x) if at.turn is None else attention.turn(x, at.turn)
    scores = q @ k.mT / q.shape[3] ** 0.5
    talking = attention.talking
    if talking is not None:
        scores = attention.over_heads(talking.before, scores)
    if at.contextual is not None:
        scores = scores + at.contextual(q)
    shares = plus(scores, at.bias).softmax(dim=3)
    return shares if talking is None else attention.over_heads(talking.after, shares)
