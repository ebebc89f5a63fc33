"""Claims that need no training: published counts of parameters and MACs, against the exact ones of our models.

A count that rounds to the printed digits, or has them if the rest is cut off, confirms them; any other contradicts
them. No statistics are in it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from fractions import Fraction
from typing import Literal

import torch

from suite.errors import InputError
from suite.models.architectures import resolve_architecture
from suite.models.build import build_model
from suite.models.costs.macs import count_macs, count_parameters
from suite.models.model_cell import ModelCell
from suite.verdict.claims.published import SHAPES, Value, decimals

_UNITS = {"params_millions": 10**6, "pe_params_thousands": 10**3, "macs_billions": 10**9}


@dataclass(frozen=True)
class StaticVerdict:
    """A printed count and ours. count: exact; computed: the same in the printed unit and precision.

    word: confirmed, contradicted, or not_tested, of which `reason` says why; of a count that is confirmed only if the
    printed one was truncated, `reason` says that.
    """

    value: Value
    word: Literal["confirmed", "contradicted", "not_tested"]
    count: int | None = None
    computed: str = ""
    reason: str = ""

    @property
    def difference(self) -> int | None:
        """Ours less what is printed, in parameters or MACs; None if it wasn't counted."""
        if self.count is None:
            return None
        return round(self.count - Fraction(self.value.printed) * _UNITS[self.value.metric])


def judge_static(values: Iterable[Value]) -> list[StaticVerdict]:
    """Count what every value that is such a count is of, and compare; the other values are left out."""
    counted: dict[tuple[str, str], int] = {}
    return [_judge(value, counted) for value in values if value.metric in _UNITS]


def to_json(verdicts: Iterable[StaticVerdict]) -> str:
    """The verdicts as JSON text."""
    objects = [
        {**{k: v for k, v in asdict(verdict).items() if k != "value"}, "difference": verdict.difference,
         "value": verdict.value.model_dump(mode="json")}
        for verdict in verdicts
    ]  # fmt: skip
    return json.dumps(objects, indent=2, ensure_ascii=False) + "\n"


def _judge(value: Value, counted: dict[tuple[str, str], int]) -> StaticVerdict:
    if value.not_runnable:
        return StaticVerdict(value, "not_tested", reason=value.not_runnable)
    try:
        cell = _model_cell(value)
        if (cell.key, value.metric) not in counted:
            counted[cell.key, value.metric] = _count(cell, value.metric)
    except InputError as error:
        return StaticVerdict(value, "not_tested", reason=error.problems[0].what)
    count, unit = counted[cell.key, value.metric], _UNITS[value.metric]
    exact, computed = Fraction(count, unit), f"{count / unit:.{decimals(value.printed)}f}"
    if value.interval.holds(exact):
        return StaticVerdict(value, "confirmed", count, computed)
    if value.interval.truncates(exact):
        return StaticVerdict(value, "confirmed", count, value.printed, reason="truncated, not rounded")
    return StaticVerdict(value, "contradicted", count, computed)


def _count(cell: ModelCell, metric: str) -> int:
    with torch.device("meta"):
        model = build_model(cell)
    if metric == "macs_billions":
        return count_macs(model, cell.shape.image_size, cell.shape.in_chans)
    parameters = count_parameters(model)
    return parameters.total if metric == "params_millions" else parameters.position


def _model_cell(value: Value) -> ModelCell:
    cell = value.cell
    return ModelCell(resolve_architecture(cell.arch), cell.pe, cell.join, cell.norm, SHAPES[cell.dataset])
