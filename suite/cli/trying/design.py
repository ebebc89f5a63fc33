"""The design of a trial of a method: the grid and the claim that `lape try` writes."""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from ruamel.yaml import YAML

from suite.cli.trying.ladder import Ladder, Step
from suite.cli.trying.question import Question
from suite.errors import InputError
from suite.grid.axes import AXES
from suite.grid.grid import load_grid
from suite.grid.trial import Trial
from suite.store.files import write_texts
from suite.verdict.stats.sequential import FIRST_LOOK


@dataclass(frozen=True)
class Design:
    """One experiment that answers the question.

    Args:
        question: what is asked.
        ladder: where the step is from.
        step: the data and the recipe.
        arch: the architecture.
        levels: of the axes that the two sides share, but for architecture and data set.
        epochs: of each training run.
        pairs: the largest number of pairs.
    """

    question: Question
    ladder: Ladder
    step: Step
    arch: str
    levels: Mapping[str, str]
    epochs: int
    pairs: int = FIRST_LOOK

    @property
    def files(self) -> dict[str, str]:
        """The text of the grid and of its claim file, by file name."""
        name = self.question.name
        return {f"{name}.yaml": self._grid(), f"{name}_claim.yaml": self._claim()}

    def sides(self) -> tuple[Trial, Trial]:
        """The first training run of the baseline, and that of the method.

        Raises:
            InputError: the architecture can't have them.
        """
        with TemporaryDirectory() as folder:
            write_texts(self.files, Path(folder))
            try:
                trials = load_grid(Path(folder) / f"{self.question.name}.yaml").expand().trials
            except InputError as error:  # the lines of a temporary file mean nothing to the reader
                where = f"{self.question.command}, {self.summary}"
                raise InputError(problems=[replace(one, where=where) for one in error.problems]) from None
        first = {trial.levels[self.question.axis]: trial for trial in reversed(trials)}
        return first[self.question.baseline], first[self.question.method]

    @property
    def summary(self) -> str:
        """Model, data and training length, in words."""
        return f"{self.arch} on {self.step.data}, {self.epochs} epochs"

    @property
    def _shared(self) -> dict[str, str]:
        """The levels of the axes that both sides share."""
        levels = {**self.levels, "arch": self.arch, "dataset": self.step.dataset_name}
        return {axis: levels[axis] for axis in AXES if axis != self.question.axis}

    def _grid(self) -> str:
        asked, own = self.question, self.ladder.architectures
        levels: dict[str, Any] = {axis: [level] for axis, level in self._shared.items()}
        levels[asked.axis] = [asked.baseline, asked.method]
        recipe = {**self.step.recipe, "epochs": self.epochs, **asked.recipe}
        values: dict[str, Any] = {
            "name": asked.name,
            "description": f"Does {asked.method} gain over {asked.baseline}? {self.summary}.",
            "seeds": [0, 1, 2],
            "recipe": recipe,
            "claims": [f"{asked.name}_claim.yaml"],
        }
        if self.arch in own:
            values["architectures"] = {self.arch: own[self.arch]}
        if self.step.dataset_name in self.ladder.datasets:
            values["datasets"] = {self.step.dataset_name: self.ladder.datasets[self.step.dataset_name]}
        head = f"# Written by `{asked.command}` before any run. Seeds are added up to the claim's max_pairs.\n"
        return head + _yaml({**values, "axes": {axis: levels[axis] for axis in AXES}})

    def _claim(self) -> str:
        asked = self.question
        gain: dict[str, Any] = {"claimed_gain": asked.claim}
        told = "as large as claimed"
        if asked.claim is None:
            gain = {"any_size": True, "claimed_gain": round(100 / self.ladder.test_images(self.step), 4)}
            told = "of any size, where claimed_gain is a single test image"
        values = {
            "paper": "lape try",
            "version": "1",
            "table": self.step.data,
            "test": {"alpha": 0.05, "margin_share": "0.5", "side": "greater", "max_pairs": self.pairs},
            "claims": [
                {
                    "id": asked.name,
                    "row": f"{asked.method} over {asked.baseline}, {self.arch}",
                    "kind": "own",
                    **gain,
                    "contrast": {
                        "axis": asked.axis,
                        "baseline": asked.baseline,
                        "treatment": asked.method,
                        "match": self._shared,
                    },
                }
            ],
        }
        return f"# Written by `{asked.command}` before any run: a gain {told}. Judged after each pair.\n" + _yaml(
            values
        )


def _yaml(values: Mapping[str, Any]) -> str:
    writer = YAML(typ="safe", pure=True)
    # Flow style for what has no collections inside; keys in their order.
    vars(writer).update(default_flow_style=None, width=110, sort_base_mapping_type_on_output=False)
    text = io.StringIO()
    writer.dump(dict(values), text)
    return text.getvalue()
