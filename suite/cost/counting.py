"""The models that a grid, or a product of levels, asks for; and what each costs, counted once."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import torch

from suite.canonical import canonical_json
from suite.cost.macs import ForwardCost, Parameters, count_forward, count_parameters
from suite.errors import InputError
from suite.models.architectures import Architecture
from suite.models.build import create_model
from suite.models.transformer import Transformer
from suite.trial import Trial


@dataclass(frozen=True)
class Shape:
    """What a model needs to know of its data: classes, and square images of [in_chans, image_size, image_size]."""

    num_classes: int
    image_size: int
    in_chans: int = 3

    def __str__(self) -> str:
        return f"{self.num_classes} classes, {self.image_size}×{self.image_size}×{self.in_chans}"


@dataclass(frozen=True)
class ModelCell:
    """A model without its weights."""

    arch: Architecture
    pe: str
    join: str
    norm: str
    shape: Shape

    @classmethod
    def of(cls, trial: Trial) -> ModelCell:
        """The model that a trial trains."""
        data = trial.dataset
        shape = Shape(data.num_classes, data.image_size, data.channels)
        return cls(trial.arch, trial.pe, trial.join, trial.norm, shape)

    @cached_property
    def key(self) -> str:
        """All that fixes the model; architectures by their sizes, so that two names of one are one."""
        return self._key(self.join)

    @property
    def baseline_key(self) -> str:
        """The key of the same model with the default joining."""
        return self._key("default")

    def _key(self, join: str) -> str:
        shape = self.shape
        return canonical_json(
            [self.arch.canonical(), self.pe, join, self.norm, shape.num_classes, shape.image_size, shape.in_chans]
        )

    def build(self) -> Transformer:
        """The model, as `create_model` makes it; raises `InputError` if there is none."""
        return create_model(
            self.arch,
            pe=self.pe,
            join=self.join,
            norm=self.norm,
            num_classes=self.shape.num_classes,
            image_size=self.shape.image_size,
            in_chans=self.shape.in_chans,
        )


@dataclass(frozen=True)
class Cost:
    """What a model costs, and what the default joining of the same cell does, where that was counted too."""

    cell: ModelCell
    parameters: Parameters
    forward: ForwardCost
    baseline: Cost | None = None


@dataclass(frozen=True)
class Impossible:
    """A combination that no model has, and why."""

    label: str
    reason: str


def count_costs(cells: Iterable[ModelCell]) -> list[Cost]:
    """The cost of each distinct model, in the order of the cells; of several names, the first.

    Raises:
        InputError: a model can't be built.
        UncountedOperatorError: a model uses an operator without a rule.
    """
    counted: dict[str, Cost] = {}
    for cell in cells:
        if cell.key not in counted:
            counted[cell.key] = _count(cell)
    return [_with_baseline(cost, counted.get(cost.cell.baseline_key)) for cost in counted.values()]


def _count(cell: ModelCell) -> Cost:
    with torch.device("meta"):
        model = cell.build()
    return Cost(cell, count_parameters(model), count_forward(model, cell.shape.image_size, cell.shape.in_chans))


def _with_baseline(cost: Cost, baseline: Cost | None) -> Cost:
    return cost if baseline is cost else Cost(cost.cell, cost.parameters, cost.forward, baseline)


def product(
    archs: Sequence[Architecture], pes: Sequence[str], joins: Sequence[str], norms: Sequence[str], shape: Shape
) -> Iterator[ModelCell | Impossible]:
    """The cells of all combinations; in place of those that no model has, why."""
    for arch, pe, join, norm in itertools.product(archs, pes, joins, norms):
        cell = ModelCell(arch, pe, join, norm, shape)
        try:
            with torch.device("meta"):
                cell.build()
        except InputError as error:
            reason = "; ".join(f"{problem.what} ({problem.found})" for problem in error.problems)
            yield Impossible(f"{arch.name} {pe} {join} {norm}", reason)
        else:
            yield cell
