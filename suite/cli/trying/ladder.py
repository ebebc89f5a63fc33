"""The ladder of `lape try`: data, models and training lengths, from the cheapest to the most expensive."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from suite.data.cache import META, prepare_command
from suite.data.datasets import DATASETS, Dataset
from suite.errors import InputError, unknown
from suite.grid.documents import load_document
from suite.grid.schema import Levels, Name, RecipeValues
from suite.grid.shipped import known_files


def _rising(values: list[int]) -> list[int]:
    if values != sorted(set(values)):
        raise ValueError(f"numbers that rise, not {values}")
    return values


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class Step(_Model):
    """A kind of experiment: what is trained, and for how long at least and at most."""

    data: Name = Field(description="what --data names")
    dataset: str | None = Field(default=None, description="its data set, if that has another name")
    recipe: RecipeValues = Field(description="a recipe's name, or its values")
    epochs: Annotated[list[Annotated[int, Field(ge=1)]], AfterValidator(_rising)] = Field(min_length=1)
    arch: Levels = Field(description="architectures: the first one that can have the method is taken")

    @property
    def dataset_name(self) -> str:
        """The name of its data set."""
        return self.dataset or self.data


class Ladder(_Model):
    """The values of the file."""

    wanted_pairs: int = Field(ge=3, le=100, description="a step is taken if so many pairs fit into the time")
    most_pairs: int = Field(ge=3, le=100, description="the largest number of pairs of any claim")
    architectures: dict[Name, dict[str, Any]] = Field(default={}, description="as in a grid file")
    datasets: dict[str, dict[str, Any]] = Field(default={}, description="as in a grid file")
    steps: list[Step] = Field(min_length=1, description="from the cheapest to the most expensive")

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.wanted_pairs > self.most_pairs:
            raise ValueError(f"wanted_pairs of at most most_pairs ({self.most_pairs}), not {self.wanted_pairs}")
        return self

    @property
    def data(self) -> list[str]:
        """What --data can name."""
        return list(dict.fromkeys(step.data for step in self.steps))

    def test_images(self, step: Step) -> int:
        """The number of test images of a step."""
        return self._dataset(step.dataset_name).test_images

    def prepare_command(self, name: str) -> str:
        """What to type to prepare a data set."""
        return prepare_command(name, None if name in DATASETS else self._dataset(name))

    def _dataset(self, name: str) -> Dataset:
        return (
            DATASETS[name]
            if name not in self.datasets
            else Dataset.model_validate({"name": name, **self.datasets[name]})
        )


def load_ladder() -> Ladder:
    """The ladder of the working folder, else the one that comes with the suite."""
    return load_document(known_files("ladders")["try"], Ladder)


def usable_steps(ladder: Ladder, data: str | None, root: Path) -> list[Step]:
    """The steps whose data are prepared.

    Args:
        ladder: the ladder.
        data: what --data names; None: any.
        root: the folder of the prepared data sets.

    Raises:
        InputError: the ladder has no such data, or no data are prepared.
    """
    if data is not None and data not in ladder.data:
        raise unknown("data", data, ladder.data, where=f"--data {data}")
    steps = [step for step in ladder.steps if data in (None, step.data)]
    ready = [step for step in steps if (root / step.dataset_name / META).is_file()]
    if not ready:
        names = list(dict.fromkeys(step.dataset_name for step in steps))
        commands = " or ".join(f"`{ladder.prepare_command(name)}`" for name in names)
        raise InputError(
            "no data are prepared" if data is None else f"the data for --data {data} are not prepared",
            expected=f"{' or '.join(names)} in the folder of prepared data sets",
            found="neither of them" if len(names) > 1 else "nothing",
            where=str(root),
            fix=f"run {commands}",
        )
    return ready
