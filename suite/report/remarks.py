"""The texts of the report: the summary of a grid, its facts, environments and caveats."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from suite.report.claim_rows import SIGNS
from suite.report.figures.available import left_out
from suite.report.tables.table import NONE, budget_note
from suite.text import duration
from suite.verdict.code import mixed_levels
from suite.verdict.paper_level import paper_answers
from suite.verdict.runs import is_missing, unique_runs
from suite.verdict.sentences import MEANINGS
from suite.verdict.verdicts import Verdict

if TYPE_CHECKING:
    from suite.verdict.runs import Frame


@dataclass(frozen=True)
class GridSummary:
    """The facts about a grid that its report needs in addition to the runs.

    Args:
        name: the name of the grid.
        description: its description, from the grid file.
        total: the number of its trials.
        done: the number of trials with a finished run.
        failed: the number of trials that failed.
        missing: the number of trials without a record.
        seeds: the seed indices.
        recipes: the values of each recipe, by the recipe's name.
        command: the `lape run` command of the grid. `lape verify` and `lape report` take the same arguments.
        dropped: combinations that no model can have, each with its reason.
        budget: how the grid is smaller than the paper's experiment; empty if it isn't.
    """

    name: str
    description: str
    total: int
    done: int
    failed: int
    missing: int
    seeds: Sequence[int]
    recipes: Mapping[str, Mapping[str, Any]]
    command: str
    dropped: Sequence[tuple[str, str]] = field(default=())
    budget: str = ""

    @property
    def commands(self) -> str:
        """The commands that reproduce the results, the verdicts and the report."""
        return "\n".join(self.command.replace("lape run", f"lape {verb}", 1) for verb in ("run", "verify", "report"))


def overview(grid: GridSummary, frame: Frame, verdicts: Sequence[Verdict]) -> list[str]:
    """The results of the grid in a few short paragraphs: first what the verdicts are."""
    seconds = _trained(frame)
    failed = "none failed" if not grid.failed else f"{grid.failed} failed"
    missing = f", {grid.missing} {'is' if grid.missing == 1 else 'are'} still to do" if grid.missing else ""
    done = f"{grid.done} of {grid.total} trials are done, {failed}{missing}"
    paragraphs = [*budget_note(grid.budget)]
    if verdicts:
        paragraphs.append(_outcome(verdicts))
        paragraphs += [
            f"{answer.title}, {answer.treatment}, together: {answer.sentence}." for answer in paper_answers(verdicts)
        ]
    return [*paragraphs, f"{done}; the training took {duration(seconds)} in all."]


def _outcome(verdicts: Sequence[Verdict]) -> str:
    words = Counter(verdict.word for verdict in verdicts)
    counted = ", ".join(f"{count} {SIGNS[word][1].lower()}" for word in MEANINGS if (count := words[word]))
    text = f"Of {len(verdicts)} verdict{'s' if len(verdicts) > 1 else ''}: {counted}."
    if analogues := sum(verdict.claim.kind == "analogue" for verdict in verdicts):
        which = "All" if analogues == len(verdicts) > 1 else str(analogues)
        verb, be = ("carries", "is") if analogues == 1 else ("carry", "are")
        text += (
            f" {which} of them {verb} a published gain over to other data or another budget, and {be} about these "
            "runs, not about the paper’s experiment."
        )
    return text


def facts(grid: GridSummary, frame: Frame) -> list[tuple[str, str]]:
    """The facts about a grid that the page lists, as (name, value)."""
    datasets = sorted(set(map(str, frame["dataset"])))
    return [
        ("Trials", f"{grid.done} done, {grid.failed} failed, {grid.missing} to do"),
        ("Data", _some(datasets) or NONE),
        ("Recipe", _some(list(grid.recipes))),
        ("Seeds", _some([str(seed) for seed in grid.seeds])),
        ("Training time", duration(_trained(frame))),
    ]


def _trained(frame: Frame) -> float:
    """The seconds that all runs trained for."""
    return math.fsum(float(seconds) for seconds in frame["train_seconds"] if not is_missing(seconds))


def by_reason(dropped: Iterable[tuple[str, str]]) -> list[tuple[str, list[str]]]:
    """Group dropped cells by their reason."""
    reasons: dict[str, list[str]] = {}
    for cell, reason in dropped:
        reasons.setdefault(reason, []).append(cell)
    return list(reasons.items())


def environments(frame: Frame) -> list[str]:
    """A text for each environment, with the number of its runs."""
    counts = Counter(map(str, frame["environment"]))
    return [f"{name}: {counts[name]} run{'s' if counts[name] > 1 else ''}" for name in sorted(counts)]


def made(frame: Frame) -> str:
    """The dates of the first and the last run, as text."""
    days = sorted({str(time)[:10] for time in frame["started_at"]})
    return "" if not days else days[0] if len(days) == 1 else f"{days[0]} to {days[-1]}"


def shown_value(value: Any) -> str:
    """The text of a recipe's value in the page."""
    if value is None:
        return "none"
    if isinstance(value, (str, int, float)) and not isinstance(value, bool):
        return f"{value:g}" if isinstance(value, float) else str(value)
    return json.dumps(value, default=str)


def caveats(grid: GridSummary, frame: Frame, history: Frame | None, verdicts: Sequence[Verdict]) -> Iterator[str]:
    """The caveats about the results, one sentence each.

    Args:
        grid: the summary of the grid.
        frame: the runs of its trials.
        history: their epochs; None: not read, because packages are missing.
        verdicts: the verdicts on its claims.
    """
    if any(verdict.claim.kind == "analogue" for verdict in verdicts):
        yield (
            "An analogue claim carries a published gain over to other data, another size or another budget. Its "
            "verdict says what happened here; it neither supports nor refutes the paper’s own experiment."
        )
    budgets = {
        f"{values['epochs']} epochs on {values['train_images'] or 'all'} training images"
        for values in grid.recipes.values()
        if "epochs" in values and "train_images" in values
    }
    if budgets:
        yield f"Budget: {'; '.join(sorted(budgets))}. A gain can come or go with longer training."
    pairs = [verdict.evidence.pairs for verdict in verdicts if verdict.evidence is not None]
    if pairs and min(pairs) < 5:
        yield (
            f"With {min(pairs)} pairs, the intervals are wide and rest on the t-test’s assumption of normally "
            "distributed gains; the exact sign-flip test needs 5 pairs to reach p < 0.05."
        )
    images = [
        float(count)
        for count, answers in zip(frame["test_images"], frame["correct"], strict=True)
        if not is_missing(count) and not is_missing(answers)  # of a segmentation, a test image is no whole answer
    ]
    if images:
        yield f"One test image is {100 / min(images):.3g} points; smaller differences can’t be seen in a single run."
    yield (
        "The best-epoch column chooses the epoch on the test set, and is optimistic; verdicts use it only for claims "
        "that name it."
    )
    done = {trial for trial, status in zip(frame["trial_id"], frame["status"], strict=True) if status == "done"}
    if history is None:
        yield left_out()
    elif lacking := done - set(history["trial_id"]):
        yield (
            f"history.parquet lacks the epochs of {len(lacking)} finished run{'s' if len(lacking) > 1 else ''}: the "
            "accuracy curves leave them out."
        )
    if len(set(frame["environment"])) > 1:
        yield "The runs come from more than one environment; gains across two of them are marked."
    if mixed := mixed_levels(unique_runs(frame)):
        yield (
            f"The runs were made by different code of {', '.join(mixed)}; what mixes them is marked, and "
            f"`{grid.command} --stale rerun` trains those of older code again."
        )
    if grid.missing or grid.failed:
        yield "Missing and failed trials are left out, never filled in; every mean has its n."


def _some(names: Sequence[str], most: int = 8) -> str:
    """The first names of a list, and the number of the others, as text."""
    shown = ", ".join(names[:most])
    return shown if len(names) <= most else f"{shown} and {len(names) - most} more"
