"""Weights of backbones in the data root, found and verified by their checksum; and the frozen ones of a trial.

<root>/backbones/<SHA-256>.safetensors   a file as `lape run --keep-weights` writes it
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from suite.data.cache import BACKBONES
from suite.errors import InputError
from suite.grid.trial import Trial
from suite.models.architectures import Architecture, resolve_architecture
from suite.models.backbone_size import body_of
from suite.models.build import create_model
from suite.models.families.transformer import VisionTransformer
from suite.models.model_cell import ModelCell, Shape
from suite.models.sizes import PatchSize
from suite.models.weights.checkpoint import Checkpoint, checkpoint_bytes, read_checkpoint
from suite.models.weights.reading import read_state, weights_checksum
from suite.models.weights.reference import load_reference
from suite.store.files import write_atomic
from suite.train.teachers import download
from suite.train.verified_weights import Wanted, read_verified

COMMAND = "lape data backbone --from FILE"
_PUBLISHED = "lape-deit"  # the names of parameters that timm gives to a plain ViT, as DINO's


def add_backbone(source: Path | str, root: Path, arch: str | None = None) -> tuple[Checkpoint, str, Path]:
    """Put a backbone's weights into the data root.

    Args:
        source: a file of `lape run --keep-weights`; or of a plain ViT's weights as timm names them, such as DINO's; or
            timm's name of a plain ViT, whose pretrained weights are downloaded unless they are in the hub's cache.
        root: the data root.
        arch: the architecture of weights that don't describe it, such as "deit_small".

    Returns:
        The model with its definition, the SHA-256 of its weights (see `weights_checksum`) and the file that holds them.

    Raises:
        InputError: the file can't be read, doesn't describe its model and no architecture is given, isn't of this one,
            isn't of a vision transformer with one grid of patches, or can't be written.
    """
    from suite.models.families.regions import Regions  # it loads scikit-learn

    checkpoint = None if isinstance(source, str) else read_checkpoint(source)
    if checkpoint is None:
        content = _converted(source, arch)
    elif isinstance(checkpoint.model, Regions) or not isinstance(checkpoint.model, VisionTransformer):
        raise InputError(
            f"{checkpoint.cell.arch.name} can't be a backbone",
            expected="the weights of a vision transformer with one grid of patches",
            found=f"family {checkpoint.cell.arch.family.name}",
            where=str(source),
            fix="give the weights of another model",
        )
    else:
        assert isinstance(source, Path)
        content = source.read_bytes()
    checksum = weights_checksum(content)
    path = root / BACKBONES / f"{checksum}.safetensors"
    write_atomic(path, content)
    kept = read_checkpoint(path)
    assert kept is not None  # it has just been written
    return kept, checksum, path


def _converted(source: Path | str, arch: str | None) -> bytes:
    """Published weights of a ViT in the suite's form. source: a file, or timm's name."""
    if arch is None:
        raise InputError(
            "this file doesn't describe its model",
            expected="a file as `lape run --keep-weights` writes it, or the name of its architecture",
            found="weights alone" if isinstance(source, Path) else "a name of timm's alone",
            where=str(source),
            fix=f"add --arch, such as: {COMMAND} --arch deit_small",
        )
    architecture = resolve_architecture(arch)
    state = read_state(source) if isinstance(source, Path) else download(source, f"{COMMAND} --arch {arch}")
    size, table = architecture.size, state.get("pos_embed")
    prefix = architecture.family.prefix
    if not isinstance(size, PatchSize) or table is None or table.ndim < 2 or table.shape[-2] <= prefix:
        raise InputError(
            f"these are not the weights of a plain ViT such as {arch}",
            expected="weights as timm names them, with pos_embed for a class token and patches",
            found="no such pos_embed" if isinstance(size, PatchSize) else f"family {architecture.family.name}",
            where=str(source),
            fix="give the weights of a plain ViT, and the name of its architecture",
        )
    side = math.isqrt(table.shape[-2] - prefix) * size.patch_size
    head = {"head.weight": torch.zeros(1, size.embed_dim), "head.bias": torch.zeros(1)}
    body = {name: value for name, value in state.items() if name not in head}
    with torch.random.fork_rng(devices=[]):
        model = create_model(architecture, num_classes=1, image_size=side)
    try:
        load_reference(model, {**body, **head}, _PUBLISHED)
    except InputError as error:
        raise error.at(str(source)) from None
    cell = ModelCell(architecture, "learnable", "default", architecture.norm, Shape(1, side))
    return checkpoint_bytes(model, cell, dataset=Path(source).name, trial_id="")


def load_backbone(trial: Trial, root: Path) -> Mapping[str, Tensor] | None:
    """The frozen backbone's weights of a trial, verified, for images of its data set's size; None if it has none.

    Raises:
        InputError: it isn't in the data root, it is damaged, or it is another model's.
    """
    checksum = trial.recipe.backbone_sha256
    if checksum is None:
        return None
    path, kept = stored(checksum, root, "the weights of the frozen backbone", "backbone_sha256")
    from suite.models.regions.backbone import read_backbone  # it loads timm

    check_same_body(kept, trial, path, "the frozen backbone", "backbone_sha256")
    with torch.random.fork_rng(devices=[]):
        weights: Mapping[str, Tensor] = read_backbone(path, None, trial.dataset.image_size).model.state_dict()
    return weights


def stored(checksum: str, root: Path, what: str, key: str) -> tuple[Path, Checkpoint]:
    """A file of weights in the data root, verified, and its model.

    Args:
        checksum: the SHA-256 of the weights.
        root: the data root.
        what: what they are for, for messages.
        key: the recipe's key that names them.

    Raises:
        InputError: there is no such file, or it is damaged.
    """
    path = root / BACKBONES / f"{checksum}.safetensors"
    wanted = Wanted(f"{what} are", "the weights of a backbone", nothing="none", key=key, command=COMMAND)
    read_verified(path, checksum, wanted)
    kept = read_checkpoint(path)
    if kept is None:
        raise wanted.fault(path, "a file that describes its model", "weights alone")
    return path, kept


def backbone_declaration(checksum: str) -> str:
    """The line of a recipe that uses a backbone."""
    return f"backbone_sha256: {checksum}"


def pretrained_declaration(join: str, checksum: str) -> str:
    """The line of a recipe whose training starts from a backbone's weights, where the joining method is this one."""
    return f"pretrained: {{axis: join, weights: {{{join}: {checksum}}}}}"


def check_same_body(kept: Checkpoint, trial: Trial, path: Path, what: str, key: str) -> None:
    """Raise `InputError` unless a trial's model and that of the weights are the same, but for head and image size.

    Args:
        kept: the weights and the definition of their model.
        trial: the trial.
        path: the file of the weights.
        what: what of the trial's model is meant, for the message.
        key: the recipe's key that names the weights.
    """
    asked, given = _body(trial.arch, trial.model), _body(kept.cell.arch, kept.cell)
    if unlike := [name for name in asked if name in given and asked[name] != given[name]]:
        raise InputError(
            f"{what} of {trial.arch.name} is another model than the one of these weights",
            expected=", ".join(f"{name} {asked[name]}" for name in unlike),
            found=", ".join(f"{name} {given[name]}" for name in unlike),
            where=str(path),
            fix=f"give the grid the weights' sizes, pe, join, norm and channels, or name other weights by {key}",
        )


# Sizes that a forward pass in evaluation mode doesn't depend on.
_OF_TRAINING = ("drop_path", "attn_drop", "head_drop", "position_std")
# Families that differ in their head, or in what is trained, from another one.
_BODIES = {
    "vit": "deit", "segmenter": "deit", "segmenter_lite": "vit_lite", "regions": "deit", "regions_lite": "vit_lite",
}  # fmt: skip


def _body(arch: Architecture, cell: ModelCell) -> dict[str, object]:
    """What a model's forward pass depends on in evaluation mode, beside weights, head and image size.

    Two families can have sizes of their own: those that only one of them has are of its head.
    """
    arch = body_of(arch)
    sizes = {name: value for name, value in arch.size.model_dump().items() if name not in _OF_TRAINING}
    family = _BODIES.get(arch.family.name, arch.family.name)
    return {"family": family, **sizes, **cell.levels, "channels": cell.shape.in_chans}
