"""Weights of other models that a trial needs: of its teacher, its frozen backbone, or where training starts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor, nn

from suite.grid.trial import Trial
from suite.models.model import Model
from suite.train.backbones import load_backbone
from suite.train.pretrained import load_pretrained
from suite.train.teachers import load_teacher


@dataclass(frozen=True)
class OtherModels:
    """What a trial needs of other models.

    Attributes:
        teacher: for distillation; None without.
        backbone: the weights of the model's frozen backbone; None if it has none.
        pretrained: the model whose weights training starts from; None: all are drawn.
    """

    teacher: nn.Module | None = None
    backbone: Mapping[str, Tensor] | None = None
    pretrained: Model | None = None


NONE = OtherModels()


def load_other_models(trial: Trial, root: Path) -> OtherModels:
    """Load and verify what a trial needs of other models.

    Raises:
        InputError: a file isn't in the data root, is damaged, or doesn't fit the trial.
    """
    checkpoint = load_pretrained(trial, root)
    return OtherModels(
        load_teacher(trial.recipe, trial.dataset, root),
        load_backbone(trial, root),
        None if checkpoint is None else checkpoint.model,
    )
