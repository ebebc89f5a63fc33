"""Runs at levels that were chosen by validation: both sides of a comparison may have other levels on that axis."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from suite.verdict.setting_levels import setting_level, without_settings

_RENAMED = ("arch", "recipe", "recipe_id")


def without_axis(columns: Mapping[str, Sequence[Any]], axis: str) -> dict[str, list[Any]]:
    """The runs as if the search axis didn't exist, so that runs at different chosen levels are compared.

    The new column `chosen` has the level of each run: JSON of the axis and the level.

    Args:
        columns: the runs, as `suite.store.frames.to_columns` has them.
        axis: the search axis.
    """
    found = {name: list(values) for name, values in columns.items()} | {"chosen": []}
    for place in range(len(found["trial_id"])):
        run = {name: found[name][place] for name in ("trial_id", "settings", *_RENAMED)}
        reduced = without_settings(run, (axis,))
        for name in _RENAMED:
            found[name][place] = reduced[name]
        found["chosen"].append(json.dumps([axis, setting_level(run, axis)]))
    return found


def chosen_level(chosen: str) -> tuple[str, str]:
    """The axis and the level in a value of the column `chosen`; two empty texts for an empty one."""
    axis, level = json.loads(chosen) if chosen else ("", "")
    return axis, level
