"""`apply_norm`: another norm in an existing model of timm."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, NamedTuple, NoReturn

import torch
from timm.layers.norm_act import BatchNormAct2d
from torch import Tensor, nn
from torch.nn.functional import layer_norm

from suite.errors import InputError, first_line
from suite.models.normalisers.l2bn import L2BatchNorm, RootMeanSquareBatchNorm
from suite.models.normalisers.plain import EPS, Normaliser
from suite.models.norms import NORMS, Norm, unfit_tokens
from suite.models.sizes import Grid, NormPlace
from suite.models.timm_layout import network_norm, prefix_tokens
from suite.registry import resolve


@dataclass(frozen=True)
class NormSites:
    """Where a class of timm's transformers has its blocks' norms.

    Args:
        model: "module:class". Its models with a joining method count too.
        block: "module:class" of the blocks; a block of another class may have its norms elsewhere.
        path: the attributes that lead to the blocks, of the model or of each of its stages.
        norms: the norms of a block.
    """

    model: str
    block: str
    path: tuple[str, ...] = ("blocks",)
    norms: tuple[str, ...] = ("norm1", "norm2")


_MODELS = "timm.models"
NORM_SITES = (
    NormSites(f"{_MODELS}.vision_transformer:VisionTransformer", f"{_MODELS}.vision_transformer:Block"),
    NormSites(f"{_MODELS}.eva:Eva", f"{_MODELS}.eva:EvaBlock"),
    NormSites(f"{_MODELS}.beit:Beit", f"{_MODELS}.beit:Block"),
    NormSites(f"{_MODELS}.swin_transformer:SwinTransformer", f"{_MODELS}.swin_transformer:SwinTransformerBlock",
              ("layers", "blocks")),
    NormSites(f"{_MODELS}.pvt_v2:PyramidVisionTransformerV2", f"{_MODELS}.pvt_v2:Block", ("stages", "blocks")),
)  # fmt: skip

_HEAD = ("norm", "fc_norm")  # the norms before the head, of which a model has one


def apply_norm(
    model: nn.Module, norm: str = "dtn", image_size: int | None = None, where: NormPlace | None = None
) -> Any:
    """Put another norm in a timm model: for LayerNorm in transformers, for BatchNorm in convolutional networks.

    The model itself is changed, and returned; do it after `apply_join`, and before its optimizer is made. In a
    transformer, the norms before attention and before the MLP are replaced in the blocks that the norm is for (DTN: all
    but the last two; DyT and RMSNorm: all), and with the latter two the norm before the head. Other norms stay.
    In a convolutional network, every BatchNorm is replaced. γ, β and running statistics are kept, under
    their names, where the new norm has such. What it has beside them starts as it says.

    A norm whose tokens must fill a grid, such as DTN, takes the patch tokens alone. In DTN's paper the class token
    joins after its blocks; timm's models have it in every block. There a token before the patches gets LayerNorm's
    statistics, with the same γ and β. A model with `class_token=False` and `global_pool="avg"` has no such token.

    Args:
        model: a model of timm, not compiled or wrapped.
        norm: a level of the norm axis.
        image_size: pixels a side, for models that take images of any size (PVT).
        where: the blocks of a transformer that have it, if others than it is published for: all but the last two
            ("inner"), all ("blocks"), or all, and before the head ("all").

    Raises:
        InputError: the norm is unknown, or the model can't have it. The model is left as it was.
    """
    level = NORMS[norm]
    if network_norm(model) == "bn":
        _of_maps(model, level)
    else:
        _of_tokens(model, level if where is None else replace(level, where=where), image_size)
    return model


def _refuse(model: nn.Module, norm: Norm, why: str, fix: str) -> NoReturn:
    raise InputError(
        f"norm {norm.name!r} can't be put into this {type(model).__name__}: {why}",
        expected="LayerNorm in the blocks of timm's ViT, DeiT, Eva, BEiT, Swin or PVT v2, or BatchNorm of feature maps",
        found=f"{type(model).__module__}.{type(model).__name__}",
        fix=fix,
    )


class L2BatchNormAct(L2BatchNorm, BatchNormAct2d):
    """L2BN before the activation that timm's BatchNorm has."""


class RootMeanSquareBatchNormAct(RootMeanSquareBatchNorm, BatchNormAct2d):
    """L2BN at BatchNorm's scale before the activation that timm's BatchNorm has."""


_WITH_ACTIVATION: dict[type[nn.Module], type[nn.Module]] = {
    L2BatchNorm: L2BatchNormAct,
    RootMeanSquareBatchNorm: RootMeanSquareBatchNormAct,
}


def _of_maps(model: nn.Module, norm: Norm) -> None:
    if not norm.maps:
        _refuse(model, norm, "it is of tokens, and this is a convolutional network", "choose norm l2bn or l2bn_rms")
    if norm.name == "bn":  # its own, also where timm has the activation in it
        return
    made: type[nn.Module] = resolve(norm.maps)
    replaced: dict[str, nn.Module] = {}
    for path, module in model.named_modules():
        if not isinstance(module, nn.BatchNorm2d):
            continue
        if type(module) is nn.BatchNorm2d:
            replaced[path] = _like(made(module.num_features, eps=module.eps), module)
        elif type(module) is not BatchNormAct2d or made not in _WITH_ACTIVATION:
            _refuse(model, norm, f"its {path} is a {type(module).__name__}", "choose another model, or another norm")
    for path, module in replaced.items():
        model.set_submodule(path, module)
    for each in model.modules():
        if type(each) is BatchNormAct2d:
            each.__class__ = _WITH_ACTIVATION[made]  # type: ignore[assignment]


class _Site(NamedTuple):
    """A norm to replace: its owner and name, the heads of its block's attention, and the shape of its input."""

    owner: nn.Module
    name: str
    heads: int
    shape: tuple[int, ...]


def _of_tokens(model: nn.Module, norm: Norm, image_size: int | None) -> None:
    if not norm.tokens:
        _refuse(model, norm, "it is of feature maps, and this is a transformer", "choose a norm of tokens")
    sites = next((sites for sites in NORM_SITES if isinstance(model, resolve(sites.model))), None)
    if sites is None:
        _refuse(model, norm, "its norms' places aren't known", "choose another model")
    if norm.name == "ln":
        return
    prefix, makers = prefix_tokens(model), []
    for site in _sites(model, norm, sites, image_size):
        grid = _grid(model, site.shape, prefix)
        count = grid[0] * grid[1] + (0 if norm.grid or len(site.shape) == 2 else prefix)
        if reason := unfit_tokens(norm, grid, count, f"this {type(model).__name__}"):
            _refuse(model, norm, reason, "choose another norm, another patch size or other images")
        made = resolve(norm.tokens)(site.shape[-1], heads=site.heads, grid=grid)
        makers.append((site, made))
    seed = int(torch.randint(2**63 - 1, (), device="cpu"))
    generator = torch.Generator(device="cpu").manual_seed(seed)
    for site, made in makers:
        if len(site.shape) != 3 or (norm.grid and prefix):
            kind: Any = type(made)
            made.__class__ = _laid_out(kind)
            made.prefix = prefix if norm.grid else 0
        _start(made, generator)
        setattr(site.owner, site.name, _like(made, getattr(site.owner, site.name)))


def _sites(model: nn.Module, norm: Norm, sites: NormSites, image_size: int | None) -> list[_Site]:
    """The norms to replace, with the shape of the input that each gets from one image."""
    blocks: list[Any] = list(_blocks(model, sites.path))
    block_type = resolve(sites.block)
    for block in blocks:
        kinds = [type(getattr(block, name, None)).__name__ for name in sites.norms]
        if not isinstance(block, block_type) or not all(
            isinstance(getattr(block, name, None), nn.LayerNorm) for name in sites.norms
        ):
            other = f"a {type(block).__name__} with {' and '.join(kinds)}"
            _refuse(model, norm, f"its blocks aren't plain ones with LayerNorm, but {other}", "choose another model")
    if len(blocks) <= norm.plain_blocks:
        _refuse(
            model,
            norm,
            f"its last {norm.plain_blocks} blocks keep LayerNorm, and it has no more",
            "give it more blocks",
        )
    shapes: dict[nn.Module, tuple[int, ...]] = {}

    def note(module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        shapes[module] = tuple(inputs[0].shape)

    inner = blocks[: len(blocks) - norm.plain_blocks]
    found: list[tuple[Any, int, str]] = [(one, int(one.attn.num_heads), name) for one in inner for name in sites.norms]
    if norm.where == "all":
        heads = int(blocks[-1].attn.num_heads)
        found += [(model, heads, name) for name in _HEAD if isinstance(getattr(model, name, None), nn.LayerNorm)]
    handles = [getattr(block, name).register_forward_pre_hook(note) for block, _, name in found]
    training = model.training
    try:
        with torch.no_grad():
            model.eval()(_image(model, norm, image_size))
    except RuntimeError as error:
        _refuse(model, norm, f"it can't take such images: {first_line(error)}", "give another image_size")
    finally:
        model.train(training)
        for handle in handles:
            handle.remove()
    return [_Site(block, name, heads, shapes[getattr(block, name)]) for block, heads, name in found]


def _blocks(module: Any, path: tuple[str, ...]) -> Iterator[nn.Module]:
    for one in getattr(module, path[0]):
        if len(path) == 1:
            yield one
        else:
            yield from _blocks(one, path[1:])


def _image(model: Any, norm: Norm, image_size: int | None) -> Tensor:
    own = getattr(model.patch_embed, "img_size", None)
    if own is None and image_size is None:
        _refuse(model, norm, "it takes images of any size, and a norm is made for one", "give image_size")
    rows, columns = own or (image_size or 0, image_size or 0)
    weight = next(model.parameters())
    channels = next(module.in_channels for module in model.modules() if isinstance(module, nn.Conv2d))
    return torch.zeros(1, channels, rows, columns, device=weight.device, dtype=weight.dtype)


def _grid(model: Any, shape: tuple[int, ...], prefix: int) -> Grid:
    """Rows and columns of the patches in an input of this shape: [1, tokens, width] or [1, rows, columns, width]."""
    if len(shape) == 4:
        return shape[1], shape[2]
    if len(shape) == 2:  # pooled
        return 1, 1
    own = getattr(model.patch_embed, "grid_size", None)
    if own is not None and math.prod(own) == shape[1] - prefix:
        return own[0], own[1]
    side = math.isqrt(shape[1] - prefix)
    return side, side


@torch.no_grad()
def _start(made: nn.Module, generator: torch.Generator) -> None:
    """Draw the initial parameters of a norm that says how it starts."""
    if isinstance(made, Normaliser):
        for name, parameter in made.named_parameters(recurse=False):
            if not parameter.is_meta:
                made.start(name, parameter, generator)


@torch.no_grad()
def _like(made: nn.Module, old: nn.Module) -> nn.Module:
    """The new norm with the old one's γ, β, running statistics, device and mode."""
    weight = next(old.parameters(), None)
    made = made if weight is None else made.to(weight.device, weight.dtype)
    state = dict(made.named_parameters()) | dict(made.named_buffers())
    for name, value in (*old.named_parameters(), *old.named_buffers()):
        if name in state and state[name].shape == value.shape:
            state[name].copy_(value)
    if isinstance(made, nn.BatchNorm2d) and isinstance(old, nn.BatchNorm2d):
        made.momentum = old.momentum
    return made.train(old.training)


class _LaidOut(nn.Module):
    """A norm of tokens in timm's layouts: as maps with the channels last, or with tokens before the patches."""

    prefix: int
    weight: Tensor
    bias: Tensor

    def forward(self, x: Tensor) -> Tensor:
        """[batch, tokens, width], [batch, rows, columns, width] or, of pooled tokens, [batch, width] to the same."""
        normalise = super().forward
        if x.ndim == 2:
            pooled: Tensor = normalise(x.unsqueeze(1)).squeeze(1)
            return pooled
        if x.ndim == 4:
            maps: Tensor = normalise(x.flatten(1, 2)).unflatten(1, x.shape[1:3])
            return maps
        patches: Tensor = normalise(x[:, self.prefix :])
        if self.prefix == 0:
            return patches
        before = layer_norm(x[:, : self.prefix], x.shape[2:], self.weight, self.bias, EPS)
        return torch.cat([before.to(patches.dtype), patches], dim=1)


@lru_cache
def _laid_out(norm: type[nn.Module]) -> type[nn.Module]:
    return type(f"LaidOut{norm.__name__}", (_LaidOut, norm), {})
