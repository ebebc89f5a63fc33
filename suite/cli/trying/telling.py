"""What `lape try` tells at its end: the verdict, the path to it, and what the runs can't say."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from suite.cli.commands.questions import deciding
from suite.cli.trying.question import Question
from suite.grid.trial import Trial
from suite.report.workspace import Workspace
from suite.text import interval, pair_count, points
from suite.verdict.deciding import End
from suite.verdict.paths import Step, steps
from suite.verdict.stats.planning import smallest_sequential_gain
from suite.verdict.verdicts import Verdict

_DRAWN = 41  # columns of a drawn path
_LITTLE_ROOM = 5.0  # points between the baseline and 100 %


@dataclass(frozen=True)
class Told:
    """The end of a trial of a method.

    Args:
        question: what was asked.
        hours: of this call.
        grid: the grid's file.
        report: the report's page.
        trial: the first training run of the method: its data, model and recipe.
        end: why no further pair was run; empty: the time is spent.
        verdict: what the runs say.
        path: what each look said.
        cannot_say: what they don't say, a sentence each.
    """

    question: Question
    hours: float
    grid: Path
    report: Path
    trial: Trial
    end: End
    verdict: Verdict
    path: tuple[Step, ...]
    cannot_say: tuple[str, ...]

    def lines(self) -> Iterator[str]:
        """All of it for people."""
        yield ""
        yield f"{self.question.method} over {self.question.baseline}: {self.verdict.word.replace('_', ' ')}"
        yield f"  {self.verdict.sentence}"
        for caveat in self.verdict.caveats:
            yield f"  but: {caveat}"
        yield from drawn(self.path)
        yield "what these runs can't say:"
        for sentence in self.cannot_say:
            yield f"  - {sentence}"


def tell(workspace: Workspace, question: Question, hours: float) -> Told:
    """Judge the runs of a trial of a method, and say what they don't say."""
    (verdict,) = workspace.verdicts
    (state,) = deciding(workspace).states(workspace.records)
    trial = next(iter(state.question.treatment.values()))
    path = () if verdict.evidence is None else steps(verdict.evidence)
    return Told(
        question,
        hours,
        workspace.grid.document.path,
        workspace.report_folder / "index.html",
        trial,
        state.end,
        verdict,
        path,
        tuple(_cannot_say(workspace, question, verdict, trial, state.end)),
    )


def _cannot_say(workspace: Workspace, question: Question, verdict: Verdict, trial: Trial, end: End) -> Iterator[str]:
    recipe, dataset = trial.recipe, trial.dataset
    images = recipe.train_images or dataset.train_images
    yield (
        f"what {question.method} does elsewhere: these runs are {trial.arch.name} on {images:,} images of "
        f"{dataset.name}, {recipe.total_epochs} epochs; they confirm or contradict no paper's claim"
    )
    if "data" not in recipe.vary:
        yield "what other training images would give: every seed trains on the same ones"
    yield "what tuning each side would give: both train with the same recipe"
    claim, evidence = verdict.claim, verdict.evidence
    if not end:
        goes_on = f"the time is spent, and the same command goes on, up to {claim.max_pairs} pairs"
        yield f"what further pairs would show: {goes_on}"
    if evidence is not None and evidence.pairs >= 2 and verdict.word in ("open", "not_tested"):
        most = claim.max_pairs or evidence.pairs
        least = smallest_sequential_gain(most, evidence.gain.sd, evidence.level)
        if math.isfinite(least) and least > 0:
            yield (
                f"whether there is a gain below about {points(least)}: with a standard deviation of "
                f"{evidence.gain.sd:.2f}, {pair_count(most)} find so large a gain in 80 % of cases, and a smaller one "
                "more seldom"
            )
    if evidence is not None and (room := 100 - evidence.comparison.means[0]) < _LITTLE_ROOM:
        yield f"how large a gain could be where there is more room: the baseline leaves {room:.1f} points up to 100 %"
    others = {one.trial_id for one in workspace.records.values()} - workspace.counted.ids
    if others:
        yield (
            f"whether trying several versions until one gains was by chance: {len(others)} stored runs are of other "
            "versions of the code or of the grid, and the error rate holds for one"
        )


def drawn(path: Sequence[Step]) -> list[str]:
    """The path as text: the mean gain after each pair (o), its interval at all looks (=), zero (|)."""
    if not path:
        return []
    means = [step.mean for step in path]
    ends = [end for end in (0.0, *means, path[-1].low, path[-1].high) if math.isfinite(end)]
    low, high = min(ends), max(ends)  # early intervals are wide: < and > say that they go on
    low, high = low - 0.05 * (high - low) - 1e-9, high + 0.05 * (high - low) + 1e-9

    def place(value: float) -> int:
        return round((min(max(value, low), high) - low) / (high - low) * (_DRAWN - 1))

    lines = [f"pairs    gain  {'interval at all looks':<24}{points(low)}{points(high):>{_DRAWN - len(points(low))}}"]
    for step in path:
        strip = [" "] * _DRAWN
        if math.isfinite(step.low):
            for column in range(place(step.low), place(step.high) + 1):
                strip[column] = "="
            if step.low < low:
                strip[0] = "<"
            if step.high > high:
                strip[-1] = ">"
        strip[place(0.0)] = "|"
        strip[place(step.mean)] = "o"
        bounds = interval(step.low, step.high) if math.isfinite(step.low) else ""
        word = step.word.replace("_", " ")
        lines.append(f"{step.pairs:>5}  {points(step.mean):>6}  {bounds:<24}{''.join(strip)}  {word}")
    return lines
