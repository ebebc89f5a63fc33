"""Levels of stored runs whose method file isn't at hand: they stand in for it where results are only read."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NoReturn

from suite.errors import InputError
from suite.grid.axes import AXES
from suite.grid.level_code import ABSENT
from suite.grid.losses import Loss, Term
from suite.models.architectures import FAMILIES, Family
from suite.models.joins import Join
from suite.models.levels import Level
from suite.models.norms import Norm
from suite.models.positions import Position
from suite.models.sizes import PatchSize
from suite.registry import Registry
from suite.store.record import LOSS_KEYS, RunRecord

_TEXT = ("a method whose file isn't at hand", "stored records")
_FINGERPRINT = re.compile(r"[0-9a-f]{16}")


def stand_in(records: Iterable[RunRecord]) -> list[str]:
    """Register what stands in for each unknown level that a record has from outside the package.

    Of several versions of one level, the last one that ran is taken.

    Returns:
        Each level with its fingerprint, in words.
    """
    found: dict[tuple[str, str], tuple[str, RunRecord]] = {}
    for record in sorted(records, key=lambda record: record.started_at):
        methods = record.config.get("methods")
        for axis, fingerprint in methods.items() if isinstance(methods, dict) else ():
            name = _name(record, axis) if axis in _MAKERS else None
            if name is not None and _FINGERPRINT.fullmatch(str(fingerprint)) and name not in _registry(axis):
                found[axis, name] = (fingerprint, record)
    for (axis, name), (fingerprint, record) in found.items():
        _registry(axis).register(name, _MAKERS[axis](name, record), f"{ABSENT}:{fingerprint}")
    return [f"{axis} {name!r} (fingerprint {fingerprint})" for (axis, name), (fingerprint, _) in found.items()]


def forget_stand_ins() -> None:
    """Remove what stands in."""
    for axis in _MAKERS:
        _registry(axis).forget(ABSENT)


def _registry(axis: str) -> Registry[Any]:
    """The registry of an axis's levels: of `arch`, the families."""
    registry = FAMILIES if axis == "arch" else AXES[axis].levels
    assert isinstance(registry, Registry)
    return registry


def _name(record: RunRecord, axis: str) -> str | None:
    """The name of a record's level in that registry."""
    name = record.config["axes"]["arch"].get("family") if axis == "arch" else getattr(record, axis, None)
    return name if isinstance(name, str) else None


def _no_terms(tables: Sequence[Any], maps: Sequence[Any]) -> NoReturn:
    raise InputError(
        "a joining method whose file isn't at hand",
        expected="its file",
        found="stored runs alone",
        where="--methods",
        fix="name the file with --methods FILE",
    )


def _norm(name: str, record: RunRecord) -> Level:
    family = str(record.config["axes"]["arch"].get("family"))
    convolutional = family in FAMILIES and FAMILIES[family].norm == "bn"
    code = f"{ABSENT}:{name}"
    return Norm(name, _TEXT[0], "unknown", _TEXT[1], "" if convolutional else code, code if convolutional else "")


def _family(name: str, record: RunRecord) -> Family:
    """A family whose sizes are those of the record, unless a grid gives others."""
    sizes = {key: value for key, value in record.config["axes"]["arch"].items() if key != "family"}
    kinds = dict.fromkeys(family.size for family in FAMILIES.values())
    fitting = [kind for kind in kinds if sizes.keys() <= kind.model_fields.keys()]
    kind = min(fitting, key=lambda kind: len(kind.model_fields), default=PatchSize)
    return Family(name, *_TEXT, kind, f"{ABSENT}:{name}", 0, sizes, norm=record.norm if record.norm == "bn" else "ln")


_MAKERS: dict[str, Callable[[str, RunRecord], Level | Family]] = {
    "arch": _family,
    "pe": lambda name, record: Position(name, *_TEXT, learnable=True),
    "join": lambda name, record: Join(name, *_TEXT, _no_terms),
    "norm": _norm,
    "loss": lambda name, record: Loss(name, *_TEXT, (Term(f"{ABSENT}:{name}", LOSS_KEYS[0], "unknown", others=False),)),
}
