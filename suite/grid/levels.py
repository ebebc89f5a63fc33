"""What the names of levels in a grid file mean."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from suite.data.datasets import DATASETS, Dataset
from suite.errors import InputError, unknown
from suite.grid.axes import AXES
from suite.grid.documents import Document, Location
from suite.grid.methods import may_be_own
from suite.grid.named_recipe import fixed_and_axis
from suite.grid.schema import GridFile
from suite.grid.settings import SETTINGS, level_text
from suite.models.architectures import ARCHITECTURES, FAMILIES, Architecture, has_size, resolve_architecture
from suite.models.size_limits import check_sizes


class Catalogue:
    """What the levels of a grid's axes mean: built-in things, and what the grid file declares."""

    def __init__(
        self, file: GridFile, document: Document, sizes: Mapping[str, tuple[Any, Location]] | None = None
    ) -> None:
        """sizes: for each size that is an axis of the grid, its first level and the location of that."""
        self._file, self._document, self._sizes = file, document, sizes or {}
        self._known: dict[tuple[str, str], Any] = {}

    def find(self, axis: str, level: str, location: Location) -> Any:
        """The object of a level, a `suite.models.levels.Level` or a `Dataset`; raises `InputError` if there is none."""
        if (axis, level) not in self._known:
            try:
                self._known[axis, level] = self._look_up(axis, level)
            except InputError as error:
                raise error.at(self._document.where(location)) from None
        return self._known[axis, level]

    def _look_up(self, axis: str, level: str) -> Any:
        if axis == "arch":
            return self._architecture(level)
        if axis == "dataset":
            return self._dataset(level)
        try:
            return AXES[axis].levels[level]
        except InputError as error:
            raise may_be_own(error) from None

    def _architecture(self, level: str) -> Architecture:
        if level not in self._file.architectures:
            known = dict.fromkeys([*self._file.architectures, *ARCHITECTURES, *FAMILIES])
            if level not in known:
                expected = "a named size, a family with its size, or one that the grid declares under `architectures:`"
                raise may_be_own(unknown("architecture", level, known, expected=expected))
            return resolve_architecture(level)
        sizes = dict(self._file.architectures[level])
        at = ("architectures", level)
        if "family" not in sizes:
            raise InputError(
                f"architecture {level!r} names no family",
                expected="family: a family, or a named size to change",
                found=f"the keys {', '.join(sizes) or 'of an empty mapping'}",
                where=self._document.where(at),
                fix="add, for instance, `family: vit_lite`",
            )
        for key in sizes:
            if key in self._sizes:
                axis = self._document.where(self._sizes[key][1])
                raise fixed_and_axis(f"size.{key}", sizes[key], self._document.where((*at, key)), axis)
        # A size that is an axis needn't be declared. The first level stands in for it until a cell has its own.
        family = str(sizes.pop("family"))
        taken = {key: value for key, (value, _) in self._sizes.items() if has_size(family, key)}
        try:
            check_sizes(level, sizes)
            return resolve_architecture(family, {**taken, **sizes}, label=level)
        except InputError as error:
            raise error.at(self._document.where(at)) from None

    def resized(self, level: str, sizes: Mapping[str, tuple[Any, Location]]) -> Architecture:
        """The architecture of a cell whose sizes are levels of axes.

        Args:
            level: the level of the axis `arch`.
            sizes: for each size that is an axis, the value in this cell and its location.

        Raises:
            InputError: the architecture has no such size, the value is wrong, or the block of the cell has no level for
                a size that the grid file leaves out of the declaration.
        """
        arch: Architecture = self.find("arch", level, ())
        if level in self._file.architectures:
            for key in self._sizes.keys() - sizes.keys():
                if has_size(arch.family.name, key):
                    raise InputError(
                        f"architecture {level!r} has no {key} in this block",
                        expected=f"an axis size.{key} in each block with it, since another block has one",
                        found="none",
                        where=self._document.where(("architectures", level)),
                        fix="add the axis with a single level, or declare two architectures",
                    )
        if not sizes:
            return arch
        values = {key: value for key, (value, _) in sizes.items()}
        told = ", ".join(f"size.{key} {level_text(value)}" for key, value in values.items())
        added = "".join(SETTINGS[f"size.{key}"].named(level_text(values[key])) for key in sorted(values))
        try:
            check_sizes(level, values)
            return arch.resized(values, level + added)
        except InputError as error:
            (_, at), *_ = sizes.values()
            problems = [replace(problem, what=f"level {told}: {problem.what}") for problem in error.problems]
            raise InputError(problems=problems).at(self._document.where(at)) from None

    def _dataset(self, level: str) -> Dataset:
        declared = self._file.datasets
        if level in declared:
            return self._document.validate(Dataset, {"name": level, **declared[level]}, ("datasets", level))
        if level not in DATASETS:
            raise unknown(
                "data set",
                level,
                [*DATASETS, *declared],
                expected="a built-in data set, or one that the grid declares under `datasets:`",
                fix="`lape data prepare NAME --from FOLDER` prints the declaration of your own",
            )
        return DATASETS[level]
