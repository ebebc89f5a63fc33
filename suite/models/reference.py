"""Weights in published formats: the names of the authors' code, and what they are called here."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from suite.errors import InputError
from suite.models.transformer import VisionTransformer
from suite.registry import Registry


@dataclass(frozen=True)
class Source:
    """A published format. `names` are (pattern of a published name, the name here), the first match counts."""

    name: str
    summary: str
    families: frozenset[str]
    names: tuple[tuple[str, str], ...]

    def translate(self, name: str) -> str | None:
        """The name here of a published name, or None if the format has no such name."""
        for pattern, ours in self.names:
            if match := re.fullmatch(pattern, name):
                return match.expand(ours)
        return None


SOURCES: Registry[Source] = Registry("source of weights")

_LEAF = r"(weight|bias)"

SOURCES.register(
    "lape-deit",
    Source(
        "lape-deit",
        "DeiT as released by LaPE, by DeiT and in timm",
        frozenset({"deit"}),
        (
            (r"cls_token", r"class_token"),
            (r"pos_embed", r"position.tables.0"),
            (r"pos_embed(\d+)", r"position.tables.\1"),
            (rf"patch_embed\.proj\.{_LEAF}", r"tokenizer.convolutions.0.\1"),
            (rf"blocks\.(\d+)\.pe_norm\.{_LEAF}", r"position.maps.\1.\2"),
            (rf"blocks\.(\d+)\.(norm[12])\.{_LEAF}", r"blocks.\1.\2.\3"),
            (rf"blocks\.(\d+)\.attn\.(qkv|proj)\.{_LEAF}", r"blocks.\1.attention.\2.\3"),
            (rf"blocks\.(\d+)\.mlp\.(fc[12])\.{_LEAF}", r"blocks.\1.mlp.\2.\3"),
            (rf"(norm|head)\.{_LEAF}", r"\1.\2"),
        ),
    ),
)

# The encoder calls its second LayerNorm norm1, and its first pre_norm.
SOURCES.register(
    "compact-transformers",
    Source(
        "compact-transformers",
        "ViT-Lite, CVT and CCT as released by SHI-Labs",
        frozenset({"vit_lite", "cvt", "cct"}),
        (
            (r"classifier\.class_emb", r"class_token"),
            (r"classifier\.positional_emb", r"position.tables.0"),
            (rf"classifier\.attention_pool\.{_LEAF}", r"pool.score.\1"),
            (rf"classifier\.blocks\.(\d+)\.pre_norm\.{_LEAF}", r"blocks.\1.norm1.\2"),
            (rf"classifier\.blocks\.(\d+)\.norm1\.{_LEAF}", r"blocks.\1.norm2.\2"),
            (rf"classifier\.blocks\.(\d+)\.self_attn\.(qkv|proj)\.{_LEAF}", r"blocks.\1.attention.\2.\3"),
            (rf"classifier\.blocks\.(\d+)\.linear([12])\.{_LEAF}", r"blocks.\1.mlp.fc\2.\3"),
            (rf"classifier\.norm\.{_LEAF}", r"norm.\1"),
            (rf"classifier\.fc\.{_LEAF}", r"head.\1"),
            (rf"tokenizer\.conv_layers\.(\d+)\.0\.{_LEAF}", r"tokenizer.convolutions.\1.\2"),
        ),
    ),
)


@torch.no_grad()
def load_reference(model: nn.Module, state_dict: Mapping[str, Any], source: str) -> None:
    """Fill a model with the weights of a published state dict, bare or wrapped as {"model": …}.

    Every parameter of the model must be given, with its shape, and nothing else; otherwise the model is
    left as it was.

    Raises:
        InputError: the source is unknown or not this model's, or names or shapes don't agree (all are listed).
    """
    published = SOURCES[source]
    if not isinstance(model, VisionTransformer) or model.architecture.family.name not in published.families:
        found = model.architecture.family.name if isinstance(model, VisionTransformer) else type(model).__name__
        raise InputError(
            f"weights of {source!r} don't fit this model",
            expected=f"a model of the family {' or '.join(sorted(published.families))}",
            found=found,
            fix="name the source that the weights come from, or create the model they belong to",
        )
    state = state_dict.get("model", state_dict)
    if not isinstance(state, Mapping):
        raise InputError(
            "there are no weights in this checkpoint",
            expected="a state dict: tensors by name",
            found=f"a {type(state).__name__} as its 'model'",
            fix="pass the model's state_dict()",
        )
    parameters = dict(model.named_parameters())
    values: dict[str, Tensor] = {}
    unexpected, misshapen = [], []
    for name, value in state.items():
        ours = published.translate(name)
        if ours is None or ours not in parameters or ours in values:
            unexpected.append(name)
            continue
        wanted = tuple(parameters[ours].shape)
        given = tuple(value.shape) if isinstance(value, Tensor) else None
        if given == wanted:
            values[ours] = value
        elif (1, *(given or ())) == wanted:  # LaPE's release stores its 1-D sinusoid without the batch axis
            values[ours] = value[None]
        else:
            values[ours] = parameters[ours]
            misshapen.append(f"{name} {'no tensor' if given is None else list(given)} instead of {list(wanted)}")
    missing = [ours for ours in parameters if ours not in values]

    faults = (("missing", missing), ("unexpected", unexpected), ("of another shape", misshapen))
    if any(names for _, names in faults):
        raise InputError(
            f"these weights of {source!r} don't belong to this model, which is left as it was",
            expected=f"{len(parameters)} tensors, one for each parameter of the model, and nothing else",
            found="; ".join(f"{len(names)} {fault}: {', '.join(names)}" for fault, names in faults if names),
            fix="create the model with the sizes, pe, join and number of classes of the weights",
        )
    for ours, value in values.items():
        parameters[ours].copy_(value)
