"""Settings as axes of a grid: keys of the recipe (`recipe.lr`), and sizes of the architecture (`size.depth`).

A level of such an axis is a value. It is no field of a record: it is read from the config that the trial id is made of.
So the same training run has the same id, whether its value comes from an axis or from the recipe. Needs no torch.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel

from suite.grid.pretrained import Pretrained
from suite.grid.recipe import Recipe
from suite.models import sizes
from suite.store.canonical import neutral_values
from suite.store.record import LOSS_KEYS

# Recipe keys that decide which training images a batch has.
_BATCHES = ("train_images", "batch_size", "repeats", "validation", "validation_by_seed")
# Sizes that change neither the shape of a parameter nor what a seed draws.
SCALES = ("position_std",)
# Sizes that leave what a seed draws for each parameter as it is, though they may change which parameters there are: see
# `Trial.seed`.
DRAWN_ALIKE = (*SCALES, "norm_where")
_CHECKSUM = re.compile(r"[0-9a-f]{64}")
_DIGITS = 8  # of a checksum, in names and tables


@dataclass(frozen=True)
class Setting:
    """A setting that can be an axis.

    Args:
        name: the key in grid files, such as "recipe.lr".
        description: what it is, for messages.
    """

    name: str
    description: str = ""

    @property
    def key(self) -> str:
        """The key of the recipe, or of the size."""
        return self.name.partition(".")[2]

    @property
    def of_recipe(self) -> bool:
        """Whether it is a key of the recipe; otherwise a size of the architecture."""
        return self.name.startswith("recipe.")

    @property
    def of_loss(self) -> bool:
        """Whether it is the weight of a loss's term, which belongs to the loss and not to the recipe's id."""
        return self.of_recipe and self.key in LOSS_KEYS

    def named(self, text: str) -> str:
        """What a level adds to the name of a recipe or an architecture."""
        return f"+{self.key}={text}"

    @property
    def unshared(self) -> str:
        """What the two runs of a pair don't share if they differ in this setting; empty if they share all draws."""
        if not self.of_recipe:
            if self.key in DRAWN_ALIKE:
                return ""
            return "initial weights and batches: each size draws its own, and a pair shares no more than its number"
        if self.key == "vary":
            return "what one of them varies and the other doesn't"
        return "batches; they share initial weights" if self.key in _BATCHES else ""


def _sizes(kind: type[BaseModel]) -> Iterable[type[BaseModel]]:
    yield kind
    for inner in kind.__subclasses__():
        yield from _sizes(inner)


def _settings() -> Iterable[Setting]:
    for key, info in Recipe.model_fields.items():
        if key != "version":
            yield Setting(f"recipe.{key}", info.description or "")
    keys = dict.fromkeys(key for kind in _sizes(sizes.AnySize) for key in kind.model_fields)
    yield from (Setting(f"size.{key}") for key in keys)


SETTINGS: Mapping[str, Setting] = {setting.name: setting for setting in _settings()}


def level_text(value: Any) -> str:
    """The text of a level, as names, tables and claims have it: 0.0005, 10, true, null, [0.9, 0.95].

    Of a checksum, its first digits. Keys are sorted, as in a record, so that each order gives the same text.
    """
    if isinstance(value, bool) or value is None:
        return {True: "true", False: "false", None: "null"}[value]
    if isinstance(value, float):
        return f"{value:.12g}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(level_text, value))}]"
    if isinstance(value, Mapping):
        texts = {str(key): level_text(value[key]) for key in sorted(value, key=str)}
        if texts.keys() == Pretrained.model_fields.keys() and isinstance(value["weights"], Mapping):
            weights = value["weights"]
            told = [f"{level}={level_text(weights[level])}" for level in sorted(weights, key=str)]
            return " ".join([texts["axis"], *told])
        return f"{{{', '.join(f'{key}: {text}' for key, text in texts.items())}}}"
    return value[:_DIGITS] if isinstance(value, str) and _CHECKSUM.fullmatch(value) else str(value)


def number_of(text: str) -> float | None:
    """The number that a level's text stands for; None if it is no number."""
    try:
        return float(text)
    except ValueError:
        return None


def setting_value(setting: Setting, recipe: Mapping[str, Any], arch: Mapping[str, Any]) -> Any:
    """The value of a setting in a config; None for a size that the architecture doesn't have.

    Args:
        setting: the setting.
        recipe: the recipe in the config of a trial, which leaves out neutral values.
        arch: the architecture in it, likewise.
    """
    known = recipe if setting.of_recipe else arch
    neutral = _NEUTRAL_RECIPE if setting.of_recipe else _NEUTRAL_SIZES
    return known.get(setting.key, neutral.get(setting.key))


_NEUTRAL_RECIPE: Mapping[str, Any] = neutral_values(Recipe)
_NEUTRAL_SIZES: Mapping[str, Any] = {
    key: value for kind in _sizes(sizes.AnySize) for key, value in neutral_values(kind).items()
}


def reduced_names(names: Iterable[str], levels: Mapping[str, str], recipe: str, arch: str) -> tuple[str, str]:
    """The names of a recipe and an architecture without what the levels of these settings add to them."""
    for name in names:
        added = SETTINGS[name].named(levels[name])
        if SETTINGS[name].of_recipe:
            recipe = _without(recipe, added)
        else:
            arch = _without(arch, added)
    return recipe, arch


def _without(name: str, added: str) -> str:
    """Only a whole part goes: `+epochs=1` is no part of `+epochs=10`."""
    return (name + "+").replace(added + "+", "+", 1).removesuffix("+")
