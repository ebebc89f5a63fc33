"""The tables and sentences of docs/findings.md, made of committed runs and their verdicts. No number is typed."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from functools import cache, partial
from pathlib import Path

from scipy.stats import binomtest

from benchmarks.documents import markdown
from suite.report.figures import interactions
from suite.report.figures.by_level import draw_series
from suite.report.figures.gains import draw_gains
from suite.report.tables.effects import effect_tables
from suite.report.tables.render import to_markdown
from suite.report.tables.summary import gain_text, mean_sd
from suite.report.tables.table import NONE
from suite.report.workspace import Workspace, open_workspace
from suite.text import duration, p_value, points
from suite.verdict import stats
from suite.verdict.caveats import exact_test_disagrees
from suite.verdict.comparisons import Comparison
from suite.verdict.paper_level import paper_answers
from suite.verdict.run_caveats import failure_rates, untrained, untrained_pairs
from suite.verdict.stats.collapse import gain_without
from suite.verdict.training_curves import mean_last_tenth
from suite.verdict.verdicts import Verdict
from tests.conftest import REPOSITORY

CLAIMS = (
    "training_length_digits", "training_length", "position_scale_digits", "position_scale", "stability",
    "data_and_depth_digits", "digits_chosen_rate", "learning_rate", "modern_positions_digits",
    "relative_positions_digits", "convolution_positions_digits", "table2_converged", "position_in_cct",
)  # fmt: skip
LEVELS = ("training_length_digits", "training_length")
# Of the figures over a setting that a grid's report has, the one on this page, by its number.
SERIES = {
    "training_length_digits": 0, "training_length": 0, "position_scale_digits": 0, "position_scale": 0, "stability": 2,
    "data_and_depth_digits": 0,
}  # fmt: skip
GAINS = ("modern_positions_digits", "table2_converged")  # of each claim
FACTORIALS = ("combined_trained",)
TOGETHER = ("table2_budget", "table2_converged")  # grids of the paper's Table 2


@cache
def workspace(grid: str) -> Workspace:
    """A grid of the repository with its committed runs."""
    return open_workspace(str(REPOSITORY / "grids" / f"{grid}.yaml"), (), None, REPOSITORY / "results", Path("reports"))


def claims(grid: str) -> str:
    """A line per claim: accuracies, gain, word, runs that never trained, and whether its curves are flat."""
    space = workspace(grid)
    if space.frame.empty:
        return f"No runs are committed yet: `lape run {grid}` makes them."
    heads = ("comparison", "baseline", "treatment", "gain", "pairs ahead", "word", "never trained",
             "gain where both train", "last tenth")  # fmt: skip
    return "\n\n".join([_standing(space), markdown(heads, map(_line, space.verdicts), ":--"), *_notes(space)])


def _notes(space: Workspace) -> Iterator[str]:
    """What must be known beside a table of claims."""
    if any(verdict.claim.metric == "top1_best_epoch" for verdict in space.verdicts):
        yield (
            "Accuracies are of each run's best tested epoch, as the paper's are taken to be. *Last tenth* is about the "
            "last epochs."
        )
    budget = space.budget
    if budget is not None and (stands := budget.stands_for.get("arch")):
        ran = ", ".join(f"`{ours}` for `{paper}`" for ours, paper in stands.items())
        yield f"Rows have the paper's names. Smaller networks stand for the paper's: {ran}."
    if disputed := [verdict.evidence for verdict in space.verdicts if verdict.evidence and _disputed(verdict)]:
        low = "p below 5 %, before adjustment"
        if all(evidence.p_sign_flip < evidence.p for evidence in disputed):
            told = f"The exact test of the same pairs has {low}. The t test, which decides, hasn't."
        else:
            told = f"The t test decides. Of it and the exact test of the same pairs, only one has {low}."
        yield f"\\* {told}"


def _disputed(verdict: Verdict) -> bool:
    return verdict.evidence is not None and exact_test_disagrees(verdict.claim, verdict.evidence)


def _standing(space: Workspace) -> str:
    """How many runs there are, those of a search too, and how long they trained."""
    ids = {trial.id for trial in space.expansion.trials}
    done = [one for one in space.records.values() if one.trial_id in ids and one.status == "done"]
    time = duration(sum(one.train_seconds or 0 for one in done))
    return f"{len(done)} of {len(ids)} runs, {time} of training, one run after another."


def _line(verdict: Verdict) -> list[str]:
    evidence = verdict.evidence
    if evidence is None:
        return [verdict.claim.row, "", "", "", "", verdict.word.replace("_", " "), "", "", ""]
    one = evidence.comparison
    sides = (one.baseline, one.treatment)
    return [
        verdict.claim.row,
        *(mean_sd(stats.spread([side.values[seed] for seed in one.seeds])) for side in sides),
        gain_text(evidence.gain),
        _ahead(one.gains),
        verdict.word.replace("_", " ") + " \\*" * _disputed(verdict),
        " / ".join(f"{len(untrained(one, side))} of {len(side.values)}" for side in sides),
        _where_both_train(one),
        " / ".join(NONE if math.isnan(move) else points(move) for move in evidence.last_tenths),
    ]


def _ahead(gains: Sequence[float]) -> str:
    """In how many pairs the treatment is more accurate."""
    return f"{sum(gain > 0 for gain in gains)} of {len(gains)}"


def _where_both_train(one: Comparison) -> str:
    places = untrained_pairs(one)
    if not places:
        return "the same"
    gain = gain_without(one.gains, places)
    return f"{gain_text(gain)}, {gain.n} pairs" if gain.n else NONE


def failures(grid: str) -> str:
    """Runs that never trained: Fisher's exact test of each cell, and the sign test of the seeds over all cells."""
    cells = [(one.claim.row, one.evidence.comparison) for one in workspace(grid).verdicts if one.evidence is not None]
    if not cells:
        return ""
    lost = [(untrained(one, one.baseline), untrained(one, one.treatment)) for _, one in cells]
    lines = []
    for (row, one), (base, treated) in zip(cells, lost, strict=True):
        rates = failure_rates(one)
        counts = (
            f"{rates.baseline} of {rates.baseline_runs}",
            f"{rates.treatment} of {rates.treatment_runs}",
        )
        lines.append([row, *counts, p_value(rates.p) if base or treated else NONE])
    seeds = set.intersection(*({*one.seeds} for _, one in cells))
    more = [sum((seed in base) - (seed in treated) for base, treated in lost) for seed in seeds]
    worse, better = sum(one > 0 for one in more), sum(one < 0 for one in more)
    sign = binomtest(worse, worse + better).pvalue if worse + better else math.nan
    table = markdown(("cell", "baseline never trained", "treatment never trained", "p"), lines, ":--")
    return (
        f"{table}\n\np: Fisher's exact test of equal rates, two-sided. Over all {len(cells)} cells, {worse} of the "
        f"{len(seeds)} seeds that all cells have fail more often on the baseline's side, {better} on the treatment's: "
        f"sign test over seeds, two-sided, p = {p_value(sign)}."
    )


def levels(grid: str) -> str:
    """The tables over a setting: the epochs to stated accuracies among them."""
    space = workspace(grid)
    if space.frame.empty:
        return "No runs are committed yet."
    return "\n".join(map(to_markdown, space.level_tables())).strip()


def cells(grid: str) -> str:
    """The accuracy of each position and joining method, best first, those of no claim too."""
    frame = workspace(grid).frame
    done = frame[frame["status"] == "done"].groupby(["pe", "join"])
    lines = [
        [str(pe), str(join), mean_sd(stats.spread(list(runs["top1"]))), str(len(runs))]
        for (pe, join), runs in sorted(done, key=lambda cell: -cell[1]["top1"].mean())
    ]
    return markdown(("position", "join", "top-1 (%)", "runs"), lines, ":--") if lines else ""


def alone(grid: str) -> str:
    """What each method of a factorial gains alone, and how much every cell's accuracy still changes at the end."""
    space = workspace(grid)
    if not space.factorials:
        return ""
    (found,) = space.factorials
    reference, lines = found.values[found.reference], []
    for cell in sorted(found.cells, key=lambda cell: len(found.named(cell))):
        values, methods = found.values[cell], found.named(cell)
        runs = space.frame
        for axis, level in zip(found.axes, cell, strict=True):
            runs = runs[runs[axis] == level]
        gains = [values[seed] - reference[seed] for seed in reference if seed in values]
        told = (gain_text(stats.paired_gain(gains)), _ahead(gains)) if methods else ("", "")
        lines.append([
            " + ".join(methods.values()) or "none of them",
            mean_sd(stats.spread(list(values.values()))),
            *told,
            points(mean_last_tenth(space.curves, list(runs["trial_id"]))),
        ])  # fmt: skip
    return markdown(("methods", "top-1 (%)", "gain over none of them", "pairs ahead", "last tenth"), lines, ":--")


def sums(grid: str) -> str:
    """Whether the gains of combined methods add up."""
    space = workspace(grid)
    if space.frame.empty:
        return f"No runs are committed yet: `lape run {grid}` makes them."
    effects, added = effect_tables(space.factorials)
    return "\n\n".join([_standing(space), to_markdown(added).strip(), to_markdown(effects).strip()])


def together() -> str:
    """What the cells of the paper's Table 2 say together, at each budget that has runs."""
    found = [(grid, one) for grid in TOGETHER for one in paper_answers(workspace(grid).verdicts)]
    lines = [f"- {one.treatment} ([{grid}](../grids/{grid}.yaml)): {one.sentence}." for grid, one in found]
    return "\n".join(lines)


def figure(grid: str) -> str:
    """The link to a grid's figure, where it has runs."""
    found = _titled(grid)
    return f"![{found[0]}](findings-{grid}.svg)" if found else ""


def _titled(grid: str) -> tuple[str, Callable[[], str]] | None:
    """What a grid's figure shows, and what draws it; None without runs."""
    space = workspace(grid)
    if grid in SERIES and len(space.series) > SERIES[grid]:
        one = space.series[SERIES[grid]]
        return f"Accuracy, gain and training curves: {one.title}", lambda: draw_series([one], space.curves)["levels-01"]
    if grid in GAINS and not space.frame.empty:
        compared = [verdict.evidence.comparison for verdict in space.verdicts if verdict.evidence is not None]
        return "The gain of each comparison, with its 95 % interval over pairs", lambda: draw_gains(compared)
    if grid in FACTORIALS and space.factorials:
        shown = interactions.draw_all(space.factorials)
        return "Mean accuracy of each combination of two methods", lambda: shown["interactions-01"]
    return None


def figures() -> dict[str, str]:
    """The figures of the page, by file name."""
    found = {grid: _titled(grid) for grid in (*SERIES, *GAINS, *FACTORIALS)}
    return {f"findings-{grid}.svg": one[1]() for grid, one in found.items() if one is not None}


def blocks() -> dict[str, Callable[[], str]]:
    """What fills the page's marked blocks, by the block's name."""
    found: dict[str, Callable[[], str]] = {f"{grid}-claims": partial(claims, grid) for grid in CLAIMS}
    found |= {f"{grid}-levels": partial(levels, grid) for grid in LEVELS}
    found |= {f"{grid}-figure": partial(figure, grid) for grid in (*SERIES, *GAINS, *FACTORIALS)}
    found["stability-failures"] = partial(failures, "stability")
    found["together"] = together
    found["modern_positions_digits-cells"] = partial(cells, "modern_positions_digits")
    found["combined_trained-alone"] = partial(alone, "combined_trained")
    return {**found, "combined_trained-sums": partial(sums, "combined_trained")}
