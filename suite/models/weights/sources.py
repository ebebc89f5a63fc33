"""Published weight formats: how parameter names in the authors' code translate to this suite's names."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from suite.registry import Registry

Name = str | Callable[[re.Match[str]], str]


@dataclass(frozen=True)
class Source:
    """A published format.

    Attributes:
        name: the format's name.
        summary: one line for people.
        families: the model families that it fits.
        names: pairs of a pattern for published names and the suite's name; the first match is used.
        skipped: patterns of entries that aren't weights, such as indices and masks that follow from the sizes.
    """

    name: str
    summary: str
    families: frozenset[str]
    names: tuple[tuple[str, Name], ...]
    skipped: tuple[str, ...] = ()

    def translate(self, name: str) -> str | None:
        """The suite's name for a published name, or None if the format has no such name."""
        for pattern, ours in self.names:
            if match := re.fullmatch(pattern, name):
                return match.expand(ours) if isinstance(ours, str) else ours(match)
        return None

    def skips(self, name: str) -> bool:
        """Whether the entry of this name isn't a weight."""
        return any(re.fullmatch(pattern, name) for pattern in self.skipped)


SOURCES: Registry[Source] = Registry("source of weights")

_LEAF = r"(weight|bias)"
_BATCH_NORM = r"(weight|bias|running_mean|running_var|num_batches_tracked)"
# `apply_join` keeps timm's names for existing parameters, and uses the suite's names for those that it adds.
_JOINED = (r"position\.(.+)", r"position.\1")
_INDEX = r"(?:.+\.)?attn\.relative_position_index"


def _one_less(name: str) -> Callable[[re.Match[str]], str]:
    """A translation for numbered modules: the published number (first group) starts at 1, the suite's at 0."""
    return lambda match: f"{name}.{int(match[1]) - 1}.{match[2]}"


def _register(
    name: str,
    summary: str,
    families: set[str],
    names: tuple[tuple[str, Name], ...],
    skipped: tuple[str, ...] = (),
) -> None:
    SOURCES.register(name, Source(name, summary, frozenset(families), names, skipped))


_VIT = (
    (r"cls_token", r"class_token"),
    (r"pos_embed", r"position.tables.0"),
    (rf"blocks\.(\d+)\.(norm[12])\.{_LEAF}", r"blocks.\1.\2.\3"),
    (rf"blocks\.(\d+)\.attn\.(qkv|proj)\.{_LEAF}", r"blocks.\1.attention.\2.\3"),
    (rf"(norm|head)\.{_LEAF}", r"\1.\2"),
)
_MLP = (rf"blocks\.(\d+)\.mlp\.(fc[12])\.{_LEAF}", r"blocks.\1.mlp.\2.\3")

_register(
    "lape-deit",
    "DeiT as released by LaPE, by DeiT and in timm",
    {"deit", "deit_distilled"},
    (
        *_VIT,
        _MLP,
        _JOINED,
        (r"dist_token", r"distillation_token"),
        (rf"head_dist\.{_LEAF}", r"distillation_head.\1"),
        (r"pos_embed(\d+)", r"position.tables.\1"),
        (r"blocks\.(\d+)\.attn\.relative_position_bias_table", r"position.biases.\1.table"),
        (rf"patch_embed\.proj\.{_LEAF}", r"tokenizer.convolutions.0.\1"),
        (rf"blocks\.(\d+)\.pe_norm\.{_LEAF}", r"position.maps.\1.\2"),
    ),
    (_INDEX,),
)

# In the published encoder, the first LayerNorm is called pre_norm and the second norm1.
_register(
    "compact-transformers",
    "ViT-Lite, CVT and CCT as released by SHI-Labs",
    {"vit_lite", "cvt", "cct"},
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
)

_register(
    "t2t-vit",
    "T2T-ViT with Performer token stages as released by YITU",
    {"t2t_vit"},
    (
        *_VIT,
        _MLP,
        (
            rf"tokens_to_token\.attention(\d+)\.((?:norm1|norm2|kqv|proj|mlp\.0|mlp\.2)\.{_LEAF})",
            _one_less("tokenizer.performers"),
        ),
        (
            r"tokens_to_token\.attention(\d+)\.(w)",
            lambda match: f"tokenizer.performers.{int(match[1]) - 1}.features.weight",
        ),
        (rf"tokens_to_token\.project\.{_LEAF}", r"tokenizer.projection.\1"),
    ),
)

_register(
    "ceit",
    "CeiT as published by coeusguo",
    {"ceit"},
    (
        *_VIT,
        (r"i2t\.backbone\.conv\.weight", r"tokenizer.stem.weight"),
        (rf"i2t\.backbone\.bn\.{_BATCH_NORM}", r"tokenizer.norm.\1"),
        (rf"i2t\.proj\.{_LEAF}", r"tokenizer.patches.\1"),
        (rf"blocks\.(\d+)\.leff\.(conv[123])\.{_LEAF}", r"blocks.\1.mlp.\2.\3"),
        (rf"blocks\.(\d+)\.leff\.bn([123])\.{_BATCH_NORM}", r"blocks.\1.mlp.norm\2.\3"),
        (r"pos_layer_embed", r"layer_embedding"),
        (rf"lca\.(norm[12])\.{_LEAF}", r"class_attention.\1.\2"),
        (rf"lca\.attn\.(qkv|proj)\.{_LEAF}", r"class_attention.attention.\1.\2"),
        (rf"lca\.feedforward\.(fc[12])\.{_LEAF}", r"class_attention.mlp.\1.\2"),
    ),
)

_SWIN = (
    (rf"patch_embed\.proj\.{_LEAF}", r"tokenizer.convolutions.0.\1"),
    (rf"patch_embed\.norm\.{_LEAF}", r"token_norm.\1"),
    (rf"layers\.(\d+)\.blocks\.(\d+)\.(norm[12]|mlp\.fc[12])\.{_LEAF}", r"stages.\1.\2.\3.\4"),
    (rf"layers\.(\d+)\.blocks\.(\d+)\.attn\.(qkv|proj)\.{_LEAF}", r"stages.\1.\2.attention.\3.\4"),
    (r"layers\.(\d+)\.blocks\.(\d+)\.attn\.relative_position_bias_table", r"position.\1.biases.\2.table"),
    (rf"norm\.{_LEAF}", r"norm.\1"),
)
_DOWNSAMPLE = rf"layers\.(\d+)\.downsample\.((?:norm|reduction)\.{_LEAF})"
_SWIN_SKIPPED = (_INDEX, r"layers\.\d+\.blocks\.\d+\.attn_mask")

# The authors merge patches at the end of a stage; timm and this suite do so at the start of the next stage.
_register(
    "swin",
    "Swin as released by Microsoft, with or without its absolute PE",
    {"swin"},
    (
        *_SWIN,
        (r"absolute_pos_embed", r"position.0.tables.0"),
        (_DOWNSAMPLE, lambda match: f"merges.{int(match[1]) + 1}.{match[2]}"),
        (rf"head\.{_LEAF}", r"head.\1"),
    ),
    _SWIN_SKIPPED,
)
_register(
    "timm-swin",
    "Swin in timm",
    {"swin"},
    (
        *_SWIN,
        _JOINED,
        (_DOWNSAMPLE, r"merges.\1.\2"),
        (rf"head\.fc\.{_LEAF}", r"head.\1"),
    ),
    _SWIN_SKIPPED,
)
