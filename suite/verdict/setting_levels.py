"""The levels of runs on settings (`recipe.epochs`, `size.depth`), read from the column `settings` of the frame."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

from suite.errors import InputError
from suite.grid.settings import SETTINGS, level_text, number_of, reduced_names, setting_value
from suite.store.canonical import fingerprint
from suite.store.record import LOSS_KEYS


def setting_level(run: Mapping[str, Any], name: str) -> str:
    """A run's level on a setting, as text.

    Raises:
        InputError: the run has no column `settings`.
    """
    return level_of(_settings(run), name)


def level_of(settings: str, name: str) -> str:
    """The level on a setting in a value of the column `settings`."""
    parts = _parsed(settings)
    return level_text(setting_value(SETTINGS[name], parts["recipe"], parts["arch"]))


def starts_apart(settings: str, axis: str, levels: tuple[str, str]) -> bool:
    """Whether runs that differ on an axis start from different pretrained weights, a file for each of the two levels.

    settings: a value of the column `settings`, of either side.
    """
    pretrained = _parsed(settings)["recipe"].get("pretrained") if settings else None
    if not pretrained or pretrained["axis"] != axis:
        return False
    first, second = (pretrained["weights"].get(level) for level in levels)
    return bool(first != second)


def without_settings(run: Mapping[str, Any], names: Sequence[str]) -> dict[str, Any]:
    """The run as one of a cell that doesn't say its levels on these settings: with other names and another recipe id.

    Runs that differ only in these settings are then of one cell.
    """
    settings = _settings(run)
    levels = {name: level_of(settings, name) for name in names}
    recipe, arch = reduced_names(names, levels, str(run["recipe"]), str(run["arch"]))
    return {**run, "recipe": recipe, "arch": arch, "recipe_id": _reduced_id(settings, tuple(names))}


def setting_order(level: str) -> tuple[float, str]:
    """The place of a level among others: numbers first, by their size."""
    number = number_of(level)
    return (float("inf") if number is None else number, level)


def _settings(run: Mapping[str, Any]) -> str:
    settings = run.get("settings")
    if not isinstance(settings, str):
        raise InputError(
            "a run without its settings",
            expected="the column `settings`, as `suite.store.load_frame` makes it",
            found=str(settings),
            where=f"trial {run['trial_id']}",
            fix="load the frame anew from runs.jsonl",
        )
    return settings


@lru_cache(maxsize=4096)
def _parsed(settings: str) -> dict[str, Any]:
    parts: dict[str, Any] = json.loads(settings)
    return parts


@lru_cache(maxsize=4096)
def _reduced_id(settings: str, names: tuple[str, ...]) -> str:
    parts = _parsed(settings)
    keys = {of: {SETTINGS[name].key for name in names if SETTINGS[name].of_recipe == of} for of in (True, False)}
    recipe = {key: value for key, value in parts["recipe"].items() if key not in keys[True] and key not in LOSS_KEYS}
    arch = {key: value for key, value in parts["arch"].items() if key not in keys[False]}
    return fingerprint([recipe, arch, parts["rest"]])
