"""What the names of levels in a grid file mean."""

from __future__ import annotations

from typing import Any

from suite.data.datasets import DATASETS, Dataset
from suite.errors import InputError, unknown
from suite.grid.axes import AXES
from suite.grid.documents import Document, Location
from suite.grid.schema import GridFile
from suite.models.architectures import Architecture, resolve_architecture


class Catalogue:
    """What the levels of a grid's axes mean: built-in things, and what the grid file declares."""

    def __init__(self, file: GridFile, document: Document) -> None:
        self._file, self._document = file, document
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
        return AXES[axis].levels[level]

    def _architecture(self, level: str) -> Architecture:
        if level not in self._file.architectures:
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
        try:
            return resolve_architecture(str(sizes.pop("family")), sizes, label=level)
        except InputError as error:
            raise error.at(self._document.where(at)) from None

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
