"""The report of a grid: one page that needs nothing but itself, with tables, figures and verdicts as files.

The page makes no request and runs no script; every text from a record is escaped. The same inputs give
the same bytes: the only times in it are those of the runs.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd
from markupsafe import Markup

from suite import __version__, figures, interaction_figures, interaction_text, layout_text, likeness, tables
from suite.grid.axes import is_usual
from suite.layout import PublishedTable
from suite.store.files import write_atomic
from suite.store.record import AXIS_FIELDS
from suite.templates import template
from suite.text import duration, points
from suite.verdict.evidence import Evidence
from suite.verdict.interactions import Factorial
from suite.verdict.runs import Run, unique_runs
from suite.verdict.sentences import MEANINGS, Word
from suite.verdict.verdicts import Verdict, to_json

MAX_FAILURES = 200

_SIGNS: Mapping[Word, tuple[str, str]] = {
    "not_tested": ("○", "Not tested"),
    "contradicted": ("✕", "Contradicted"),
    "confirmed": ("✓", "Confirmed"),
    "direction_only": ("↗", "Direction only"),
    "inconclusive": ("≈", "Inconclusive"),
}


@dataclass(frozen=True)
class GridSummary:
    """What a report says of a grid beyond its runs.

    total, done, failed, missing: trials of the grid, by what is known of them. dropped: cells that are no
    trials, each with its reason. recipes: the values of each recipe, by its name. command: the `lape run`
    that runs the grid; the other commands take the same arguments. budget: in what the grid is smaller than the
    paper's experiment; empty if it isn't.
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
        """The commands that make the results, the verdicts and the page again."""
        return "\n".join(self.command.replace("lape run", f"lape {verb}", 1) for verb in ("run", "verify", "report"))


def render(
    grid: GridSummary,
    frame: pd.DataFrame,
    history: pd.DataFrame,
    verdicts: Sequence[Verdict],
    folder: Path,
    *,
    published: Sequence[PublishedTable] = (),
    factorials: Sequence[Factorial] = (),
) -> Path:
    """Write index.html, tables/, figures/ and verdicts.json into the folder, and return the page's path.

    frame, history: as `suite.store.load_frame` and `load_history` give them, of this grid's trials. published: the
    papers' tables that its claims are from. factorials: of its runs, if it combines methods.

    Raises:
        InputError: the folder can't be written, or the frame holds two trainings under one name.
    """
    cells = tables.rows(frame)
    contrasts = [row.contrast for row in cells if row.contrast is not None]
    drawn, groups = figures.panels(frame, history)
    drawings = figures.draw_panels(drawn)
    alike = likeness.likenesses(frame, history)
    drawings |= {one.name: likeness.draw_likeness(one) for one in alike}
    scale, marks = figures.gain_marks([row.contrast for row in cells])
    effects = interaction_text.texts(factorials, grid.budget)
    interactions = interaction_figures.draw_all(factorials)
    page = template("report.html.j2").render(
        **tables.table_view(cells, grid.budget) | {"plot_head": scale, "plots": marks},
        **_failures(frame),
        grid=grid,
        css=Markup(template("report.css").render()),  # noqa: S704 -- a file of this package
        sections=_sections(grid, published, factorials, bool(alike)),
        published=[layout_text.view(table) for table in published],
        effects=[interaction_text.view(text) for text in effects],
        interactions=_interactions(factorials, interactions),
        overview=_overview(grid, frame, verdicts),
        facts=_facts(grid, frame),
        cards=[_card(verdict) for verdict in verdicts],
        meanings=[(_SIGNS[word][1], meaning) for word, meaning in MEANINGS.items()],
        curves=[_curve(panel, drawings[panel.name]) for panel in drawn],
        alike=[_alike(one, drawings[one.name]) for one in alike],
        more_panels=groups if groups > len(drawn) else 0,
        more_gains=figures.MAX_GAINS if len(contrasts) > figures.MAX_GAINS else 0,
        key=_key(drawn),
        dropped=_by_reason(grid.dropped),
        commands=grid.commands,
        recipes=[
            (name, [(key, _value(value)) for key, value in values.items()]) for name, values in grid.recipes.items()
        ],
        environments=_environments(frame),
        caveats=list(_caveats(grid, frame, history, verdicts)),
        version=__version__,
        made=_made(frame),
    )
    tables.write_rows(cells, folder / "tables", grid.budget)
    layout_text.write_published(published, folder / "tables")
    interaction_text.write_texts(effects, folder / "tables")
    _write_figures({**drawings, **interactions, "gains": figures.draw_gains(contrasts)}, folder / "figures")
    write_atomic(folder / "verdicts.json", to_json(verdicts).encode())
    write_atomic(folder / "index.html", page.encode())
    return folder / "index.html"


def _write_figures(drawings: Mapping[str, str], folder: Path) -> None:
    head = '<?xml version="1.0" encoding="utf-8"?>\n'
    for name, text in drawings.items():
        write_atomic(folder / f"{name}.svg", (head + text).encode())
    kinds = ("curves", "interactions", "similarity")
    for path in [path for kind in kinds for path in folder.glob(f"{kind}-*.svg")]:
        if path.stem not in drawings:  # of an earlier report with more cells
            path.unlink()


# ── the head ──────────────────────────────────────────────────────────────────────────────────────────


def _sections(
    grid: GridSummary, published: Sequence[PublishedTable], factorials: Sequence[Factorial], alike: bool
) -> list[tuple[str, str]]:
    combined = [("interactions", "Do the gains add up?")] if factorials else []
    beside = [("published", "Beside the paper")] if published else []
    dropped = [("dropped", "Cells left out")] if grid.dropped else []
    return [
        ("verdicts", "Verdicts"),
        ("results", "Results"),
        *combined,
        *beside,
        ("curves", "Accuracy curves"),
        *([("alike", "How alike patches are")] if alike else []),
        ("failures", "Failures"),
        *dropped,
        ("made", "How this was made"),
        ("caveats", "What to keep in mind"),
    ]


def _overview(grid: GridSummary, frame: pd.DataFrame, verdicts: Sequence[Verdict]) -> str:
    """The report in a paragraph."""
    seconds = float(frame["train_seconds"].sum())
    done = f"{grid.done} of {grid.total} trials are done"
    failed = "none failed" if not grid.failed else f"{grid.failed} failed"
    missing = f", {grid.missing} {'is' if grid.missing == 1 else 'are'} still to do" if grid.missing else ""
    text = "".join(f"{note} " for note in tables.budget_note(grid.budget))
    text += f"{done}, {failed}{missing}; the training took {duration(seconds)} in all."
    if verdicts:
        words = Counter(verdict.word for verdict in verdicts)
        counted = ", ".join(f"{count} {_SIGNS[word][1].lower()}" for word in MEANINGS if (count := words[word]))
        analogues = sum(verdict.claim.kind == "analogue" for verdict in verdicts)
        text += f" Of {len(verdicts)} verdict{'s' if len(verdicts) > 1 else ''}: {counted}."
        if analogues:
            which = "All" if analogues == len(verdicts) else str(analogues)
            text += f" {which} of them carry a published gain over to other data or another budget."
    return text


def _facts(grid: GridSummary, frame: pd.DataFrame) -> list[tuple[str, str]]:
    datasets = sorted(set(frame["dataset"].astype(str)))
    return [
        ("Trials", f"{grid.done} done, {grid.failed} failed, {grid.missing} to do"),
        ("Data", _some(datasets) or tables.NONE),
        ("Recipe", _some(list(grid.recipes))),
        ("Seeds", _some([str(seed) for seed in grid.seeds])),
        ("Training time", duration(float(frame["train_seconds"].sum()))),
    ]


# ── gains and verdicts ────────────────────────────────────────────────────────────────────────────────


def _card(verdict: Verdict) -> dict[str, Any]:
    sign, said = _SIGNS[verdict.word]
    sentence = verdict.sentence[0].upper() + verdict.sentence[1:]
    claim = verdict.claim
    return {
        "word": verdict.word,
        "sign": sign,
        "said": said,
        "analogue": claim.kind == "analogue",
        "title": f"{claim.paper} ({claim.version}), Table {claim.table}: {claim.row}",
        "cell": verdict.cell,
        "recipe": verdict.recipe,
        "plot": figures.effect(verdict),
        "sentence": sentence,
        "caveats": verdict.caveats,
        "numbers": list(_numbers(verdict)),
    }


def _numbers(verdict: Verdict) -> Iterator[tuple[str, str]]:
    """Every number that led to the word, with its name."""
    claim, seen = verdict.claim, verdict.evidence
    yield "Claimed gain", _published(verdict)
    yield "Margin δ, level α", f"{claim.margin:g} points, {claim.alpha:g}; fixed in the claim file before any run"
    yield "Metric", "top-1 of the last epoch" if claim.metric == "top1" else "top-1 of the best epoch (optimistic)"
    if seen is None:
        return
    yield "Pairs", f"{seen.pairs}: {_pairs(seen)}"
    yield "Means over pairs", f"{seen.baseline_mean:.2f} % → {seen.treatment_mean:.2f} %"
    yield "Gain", f"{points(seen.gain)}, sample standard deviation {_number(seen.sd)}"
    yield "95 % t interval", f"[{points(seen.low)}, {points(seen.high)}]"
    yield "p, paired t-test, one-sided", f"{_p(seen.p)} (Holm over {seen.claims_judged}: {_p(seen.p_adjusted)})"
    opposite = "p of a loss" if claim.side == "greater" else "p of a rise"
    yield opposite, f"{_p(seen.p_negative)} (Holm over {seen.claims_judged}: {_p(seen.p_negative_adjusted)})"
    yield "p, equal within δ (TOST)", _p(seen.p_equivalent)
    yield (
        "p, exact sign flip",
        f"{_p(seen.p_sign_flip)} (with {seen.pairs} pairs, at best {_p(seen.smallest_p_sign_flip)})",
    )
    if seen.images_gained is not None and seen.images_lost is not None and seen.p_mcnemar is not None:
        yield (
            "95 % bootstrap interval",
            f"[{points(seen.bootstrap_low)}, {points(seen.bootstrap_high)}], over pairs and "
            f"{seen.test_images} test images",
        )
        images = zip(seen.seeds, seen.images_gained, seen.images_lost, seen.p_mcnemar, strict=True)
        yield (
            "Images gained, lost; McNemar’s p",
            "; ".join(f"seed {seed} +{more} −{less}, {_p(p)}" for seed, more, less, p in images),
        )
    yield "Smallest gain to show", f"{_number(seen.smallest_gain)} points, by {seen.pairs} pairs at 80 % power"
    yield "Pairs to show the claimed gain", f"{_number(seen.pairs_needed, 0)}, at 80 % power with this spread"
    yield "Correlation of the pairs", _number(seen.correlation)
    yield "Environments", "; ".join(seen.environments)


def _published(verdict: Verdict) -> str:
    claim = verdict.claim
    text = f"{points(claim.claimed_gain)} points"
    if claim.claimed_baseline is not None and claim.claimed_treatment is not None:
        text += f" ({claim.claimed_baseline:g} % → {claim.claimed_treatment:g} %)"
    return f"{text}, for {claim.published_for}" if claim.published_for else text


def _pairs(seen: Evidence) -> str:
    listed = zip(seen.seeds, seen.gains, strict=True)
    return ", ".join(f"seed {seed} {points(gain)}" for seed, gain in listed)


def _p(value: float) -> str:
    return tables.NONE if math.isnan(value) else "< 0.0001" if value < 1e-4 else f"{value:.4f}"


def _number(value: float, digits: int = 2) -> str:
    return f"{value:.{digits}f}" if math.isfinite(value) else tables.NONE


# ── curves, failures, dropped cells ───────────────────────────────────────────────────────────────────


def _curve(panel: figures.Panel, drawing: str) -> dict[str, Any]:
    ends = "; ".join(f"{line.join} {line.mean[-1]:.2f} % (n = {line.n})" for line in panel.lines)
    label = Markup('<svg role="img" aria-label="{}" ').format(f"Accuracy by epoch of {panel.title}. At the end: {ends}")
    # matplotlib has escaped its own text
    svg = Markup(drawing.replace("<svg ", label, 1))  # noqa: S704
    return {"title": panel.title, "ends": f"at the end: {ends}", "svg": svg}


def _interactions(factorials: Sequence[Factorial], drawings: Mapping[str, str]) -> list[dict[str, Any]]:
    shown = []
    for factorial, drawing in zip(factorials, drawings.values(), strict=True):
        means = ", ".join(
            f"{' '.join(cell)} {sum(its.values()) / len(its):.2f} %" for cell, its in factorial.values.items() if its
        )
        label = Markup('<svg role="img" aria-label="{}" ').format(f"Mean accuracies: {means}")
        # matplotlib has escaped its own text
        svg = Markup(drawing.replace("<svg ", label, 1))  # noqa: S704
        shown.append({"title": interaction_figures.title(factorial), "svg": svg})
    return shown


def _alike(one: likeness.Likeness, drawing: str) -> dict[str, Any]:
    ends = likeness.ends(one.lines)
    label = Markup('<svg role="img" aria-label="{}" ').format(
        f"Mean |cos| between patches after each block, of {one.title}. After the last: {ends}"
    )
    svg = Markup(drawing.replace("<svg ", label, 1))  # noqa: S704
    return {"title": one.title, "ends": f"after the last block: {ends}", "svg": svg}


def _key(drawn: Sequence[figures.Panel]) -> list[tuple[str, int]]:
    joins = dict.fromkeys(line.join for panel in drawn for line in panel.lines)
    return [(join, figures.colour_number(join)) for join in joins]


def _failures(frame: pd.DataFrame) -> dict[str, Any]:
    failed = [run for run in unique_runs(frame) if run["status"] != "done"]
    failed.sort(key=lambda run: (*(str(run[axis]) for axis in AXIS_FIELDS), int(run["seed_index"])))
    return {
        "failures": [_failure(run) for run in failed[:MAX_FAILURES]],
        "more_failures": len(failed) if len(failed) > MAX_FAILURES else 0,
    }


def _failure(run: Run) -> dict[str, Any]:
    error: str = "" if pd.isna(run["error"]) else str(run["error"]).strip()
    last: str = error.splitlines()[-1] if error else tables.NONE
    if run["status"] == "diverged" and not pd.isna(run["diverged_step"]):
        last = f"the loss was not finite at step {int(run['diverged_step'])}"
    return {
        "cell": " ".join(str(run[axis]) for axis in AXIS_FIELDS if not is_usual(axis, str(run[axis]))),
        "seed": int(run["seed_index"]),
        "status": run["status"],
        "epochs": int(run["epochs"]),
        "trial": run["trial_id"],
        "last": last if len(last) <= 90 else f"{last[:89]}…",
        "error": error,
    }


def _by_reason(dropped: Iterable[tuple[str, str]]) -> list[tuple[str, list[str]]]:
    reasons: dict[str, list[str]] = {}
    for cell, reason in dropped:
        reasons.setdefault(reason, []).append(cell)
    return list(reasons.items())


# ── how it was made ───────────────────────────────────────────────────────────────────────────────────


def _environments(frame: pd.DataFrame) -> list[str]:
    counts = Counter(frame["environment"].astype(str))
    return [f"{name}: {counts[name]} run{'s' if counts[name] > 1 else ''}" for name in sorted(counts)]


def _made(frame: pd.DataFrame) -> str:
    days = sorted({str(time)[:10] for time in frame["started_at"]})
    return "" if not days else days[0] if len(days) == 1 else f"{days[0]} to {days[-1]}"


def _value(value: Any) -> str:
    if value is None:
        return "none"
    if isinstance(value, (str, int, float)) and not isinstance(value, bool):
        return f"{value:g}" if isinstance(value, float) else str(value)
    return json.dumps(value, default=str)


def _caveats(
    grid: GridSummary, frame: pd.DataFrame, history: pd.DataFrame, verdicts: Sequence[Verdict]
) -> Iterator[str]:
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
    images = frame["test_images"].dropna().astype(float)
    if len(images):
        yield f"One test image is {100 / images.min():.3g} points; smaller differences can’t be seen in a single run."
    yield (
        "The best-epoch column chooses the epoch on the test set, and is optimistic; verdicts use it only for claims "
        "that name it."
    )
    if lacking := set(frame.loc[frame["status"] == "done", "trial_id"]) - set(history["trial_id"]):
        yield (
            f"history.parquet lacks the epochs of {len(lacking)} finished run{'s' if len(lacking) > 1 else ''}: the "
            "accuracy curves leave them out."
        )
    if frame["environment"].nunique() > 1:
        yield "The runs come from more than one environment; gains across two of them are marked."
    if grid.missing or grid.failed:
        yield "Missing and failed trials are left out, never filled in; every mean has its n."


def _some(names: Sequence[str], most: int = 8) -> str:
    """A list for people: the first few, and how many more."""
    shown = ", ".join(names[:most])
    return shown if len(names) <= most else f"{shown} and {len(names) - most} more"
