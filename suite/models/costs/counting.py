"""The static costs of the models in a grid or in a product of levels. Each distinct model is counted once."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import torch

from suite.errors import InputError
from suite.models.architectures import Architecture
from suite.models.build import build_model
from suite.models.costs.macs import ForwardCost, Parameters, count_forward, count_parameters
from suite.models.model_cell import ModelCell, Shape


@dataclass(frozen=True)
class Cost:
    """A model's cost, and its baseline's cost (`ModelCell.baseline_key`) if that was counted too."""

    cell: ModelCell
    parameters: Parameters
    forward: ForwardCost
    baseline: Cost | None = None


@dataclass(frozen=True)
class Impossible:
    """A combination of levels that can't be built, the reason, and what to choose instead if that is known."""

    label: str
    reason: str
    fix: str = ""


def count_costs(cells: Iterable[ModelCell]) -> list[Cost]:
    """The cost of each distinct model, in the order of the cells.

    If one model has several names, the first is kept.

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
        model = build_model(cell)
    return Cost(cell, count_parameters(model), count_forward(model, cell.shape.image_size, cell.shape.in_chans))


def _with_baseline(cost: Cost, baseline: Cost | None) -> Cost:
    return cost if baseline is cost else Cost(cost.cell, cost.parameters, cost.forward, baseline)


def product(
    archs: Sequence[Architecture], pes: Sequence[str], joins: Sequence[str], norms: Sequence[str], shape: Shape
) -> Iterator[ModelCell | Impossible]:
    """Yield the cell of each combination, or an `Impossible` if the model can't be built.

    Args:
        archs: the architectures.
        pes: levels of the position-embedding axis.
        joins: levels of the joining axis.
        norms: levels of the norm axis; if empty, each family's own norm.
        shape: the data's shape.
    """
    combinations = (itertools.product([arch], pes, joins, norms or [arch.norm]) for arch in archs)
    for arch, pe, join, norm in itertools.chain.from_iterable(combinations):
        cell = ModelCell(arch, pe, join, norm, shape)
        try:
            with torch.device("meta"):
                build_model(cell)
        except InputError as error:
            reason = "; ".join(f"{problem.what} ({problem.found})" for problem in error.problems)
            fix = "; ".join(problem.fix for problem in error.problems if problem.fix)
            yield Impossible(f"{arch.name} {pe} {join} {norm}", reason, fix)
        else:
            yield cell
