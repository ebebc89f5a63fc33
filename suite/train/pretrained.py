"""Training that starts from the weights of another training run: a recipe's `pretrained`.

The weights are in the data root, as those of frozen backbones (`suite.train.backbones`).
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn

from suite.errors import InputError
from suite.grid.trial import Trial
from suite.models.build import build_model
from suite.models.levels import Cell
from suite.models.weights.checkpoint import Checkpoint
from suite.models.weights.reference import position_tables
from suite.models.weights.unwrapping import listed
from suite.train.backbones import check_same_body, stored

HEADS = ("head.", "distillation_head.")  # names of parameters that begin so belong to the task
# Names that begin so belong to what a classifier does with its tokens, and a head on all patches doesn't have.
OF_CLASSIFIERS = ("pool.", "class_attention.", "layer_embedding")


def load_pretrained(trial: Trial, root: Path) -> Checkpoint | None:
    """What a trial starts from, verified; None if all its weights are drawn.

    Raises:
        InputError: it isn't in the data root, it is damaged, or it doesn't fit the trial's model.
    """
    pretrained = trial.recipe.pretrained
    if pretrained is None:
        return None
    checksum = pretrained.checksum(Cell(trial.arch, trial.dataset.image_size, trial.levels))
    assert checksum is not None  # `check_cell` lets no other trial be
    path, checkpoint = stored(checksum, root, "the weights that training starts from", "pretrained")
    check_same_body(checkpoint, trial, path, "what is to be trained", "pretrained")
    with torch.device("meta"):  # shapes are enough to see whether they fit
        model = build_model(trial.model)
    try:
        start_from(model, checkpoint.model)
    except InputError as error:
        raise error.at(str(path)) from None
    return checkpoint


@torch.no_grad()
def start_from(model: nn.Module, trained: nn.Module) -> None:
    """Copy the weights of a trained model, all but those of the head.

    For images of another size, a learned position embedding is interpolated bicubically, and the prefix tokens' rows
    are kept. A fixed position embedding stays as it is.

    Args:
        model: it keeps its own head.
        trained: a model with the same body.

    Raises:
        InputError: their bodies differ; the model doesn't change.
    """
    own, given = (
        {name: value for name, value in each.state_dict().items() if not name.startswith(HEADS)}
        for each in (model, trained)
    )
    if not any(name.startswith(OF_CLASSIFIERS) for name in own):
        given = {name: value for name, value in given.items() if not name.startswith(OF_CLASSIFIERS)}
    fits = position_tables(model)
    values: dict[str, Tensor | None] = {
        name: fits[name].fit(value) if name in fits else value for name, value in given.items()
    }
    faults = {
        "missing": [name for name in own if name not in values],
        "unexpected": [name for name in values if name not in own],
        "of another shape": [name for name, value in values.items() if name in own and not _alike(value, own[name])],
    }
    if any(faults.values()):
        raise InputError(
            "the weights that training starts from are of another model",
            expected=f"{len(own)} tensors, one for each parameter of the model but those of its head",
            found="; ".join(f"{len(names)} {fault}: {listed(names)}" for fault, names in faults.items() if names),
            fix="give the architecture the sizes of the one that was trained, or name other weights",
        )
    for name, value in values.items():
        assert value is not None
        own[name].copy_(value)


def _alike(value: Tensor | None, own: Tensor) -> bool:
    return value is not None and value.shape == own.shape
