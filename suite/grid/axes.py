"""The order and the usual level of each axis."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from suite.data.datasets import DATASETS
from suite.errors import nearest
from suite.grid.losses import LOSSES
from suite.models.architectures import named_architectures
from suite.models.joins import JOINS
from suite.models.norms import NORMS
from suite.models.positions import POSITIONS

# Tables and reports list levels in the order of their registration, so that the baseline comes first.
_REGISTERED: Mapping[str, Iterable[str]] = {
    "dataset": DATASETS,
    "arch": named_architectures(),
    "pe": POSITIONS,
    "join": JOINS,
    "norm": NORMS,
    "loss": LOSSES,
}


def level_order(axis: str, level: str) -> tuple[int, str]:
    """The place of a level in tables: registered ones in order of registration, others after them by name."""
    known = list(_REGISTERED.get(axis, ()))
    return (known.index(level), "") if level in known else (len(known), level)


def is_usual(axis: str, level: str) -> bool:
    """Whether a label can leave the level out: it is what every training has unless it is said."""
    return (axis, level) in {("norm", "ln"), ("loss", "default")}


def unknown_level(axis: str, level: str) -> str | None:
    """Advice if the suite has no such level on the axis, else None."""
    known: dict[str, list[str]] = {
        "arch": named_architectures(),
        "pe": list(POSITIONS),
        "join": list(JOINS),
        "norm": list(NORMS),
        "loss": list(LOSSES),
        "dataset": list(DATASETS),
    }
    return None if level in known[axis] else nearest(level, known[axis])
