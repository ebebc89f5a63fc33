"""A grid with its folders: what nearly every command starts from. Needs neither torch nor Ray."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from suite.errors import InputError
from suite.grid.budget import Budget
from suite.grid.choice import final_trials
from suite.grid.grid import Expansion
from suite.grid.trial import Trial
from suite.report.figures.available import missing_packages
from suite.report.tables.by_level import Series, all_series, level_tables
from suite.report.tables.chosen import choice_table
from suite.report.tables.corruptions import corruption_tables
from suite.report.tables.published import PublishedTable, published_table
from suite.report.tables.regions import region_tables
from suite.report.tables.rows import rows
from suite.report.tables.segmentation import segmentation_tables
from suite.report.tables.table import Table
from suite.run.opened_grid import OpenGrid, open_grid
from suite.run.timing.estimate import ANYWHERE, Estimate, Where, estimate, workers_here
from suite.run.timing.forecast import Measured, read_calibration
from suite.run.timing.pace import Pace, Paces
from suite.store.files import resolved
from suite.store.folder import RUNS
from suite.store.frames import load_history, to_columns, to_frame
from suite.store.record import RunRecord
from suite.text import points
from suite.verdict.chosen import without_axis
from suite.verdict.claims.claim import Claim, carried_over
from suite.verdict.claims.published import Value
from suite.verdict.claims.reader import ClaimReader, Claims, read_claim_files
from suite.verdict.copied_runs import check_copies, losses_of
from suite.verdict.interactions import Factorial, factorials
from suite.verdict.metrics import metric_of
from suite.verdict.paper_level import paper_answers
from suite.verdict.stats.sequential import LARGEST
from suite.verdict.test_images import check_accuracies
from suite.verdict.training_curves import Curve, curves_of
from suite.verdict.verdicts import Verdict, judge

if TYPE_CHECKING:
    import pandas as pd

    from suite.verdict.runs import Frame

T = TypeVar("T")


def _say_folder(found: Callable[[Workspace], T]) -> Callable[[Workspace], T]:
    """What is found in columns of runs. Their errors name the file of the runs alone: here they get its folder."""

    @wraps(found)
    def said(workspace: Workspace) -> T:
        try:
            return found(workspace)
        except InputError as error:
            raise InputError(
                problems=[
                    replace(problem, where=str(workspace.store.folder / problem.where))
                    if problem.where.startswith(RUNS)
                    else problem
                    for problem in error.problems
                ]
            ) from None

    return said


@dataclass
class Workspace(OpenGrid):
    """A grid, what it expands to, and where its results and its report are."""

    reports: Path
    reader: ClaimReader | None = None  # shared by grids that are opened together

    @property
    def report_folder(self) -> Path:
        """Where the grid's report goes."""
        return self.reports / self.grid.name

    @cached_property
    def records(self) -> dict[str, RunRecord]:
        """All stored records, those of other trials (of an older recipe, say) too."""
        return self.store.records()

    @cached_property
    def seed_order(self) -> tuple[int, ...]:
        """The seed indices in the order in which claims read their pairs, as far as any claim may go."""
        own = tuple(self.grid.file.seeds)
        most = [claim.max_pairs or LARGEST for claim in self.claims if claim.rule != "fixed" and not claim.obstacle]
        if self.grid.seeds is not None or max(most, default=0) <= len(own):
            return own
        return tuple(self.grid.with_seeds(max(most)).file.seeds)

    @cached_property
    def counted(self) -> Expansion:
        """The grid's trials, and those of further seeds that are stored: what tables and verdicts are made of."""
        further = set(self.seed_order[len(self.grid.file.seeds) :])
        if self.choices:
            own = self.grid.file.seeds
            found = final_trials(self.choices, self.seed_order)
            counted = tuple(one for one in found if one.seed_index in own or one.id in self.records)
            return replace(self.expansion, trials=counted)
        if not further & {record.seed_index for record in self.records.values()}:
            return self.expansion
        whole = self.grid.with_seeds(len(self.seed_order)).expand()
        trials = tuple(one for one in whole.trials if one.seed_index not in further or one.id in self.records)
        return replace(whole, trials=trials)

    @cached_property
    def recorded_paces(self) -> list[Pace]:
        """What the stored runs say of the time that trials take."""
        paces = Paces({trial.dataset.name: trial.dataset for trial in self.expansion.trials}.values())
        done = (record for record in self.records.values() if record.status == "done")
        return [pace for record in done if (pace := paces.of_record(record)) is not None]

    @cached_property
    def paces(self) -> list[Pace]:
        """What the stored runs, and a calibration if there was one, say of the time that trials take."""
        return [*self.recorded_paces, *([] if self.calibration is None else self.calibration.paces)]

    @cached_property
    def calibration(self) -> Measured | None:
        """What `lape plan --calibrate` measured last."""
        return read_calibration(self.store.folder)

    def estimate(self, trials: Sequence[Trial], workers: int | None = None, where: Where = ANYWHERE) -> Estimate:
        """What the trials take.

        Args:
            trials: The trials to do.
            workers: Trials at a time; None: as many as this machine would run, or one on a GPU.
            where: Which devices' measurements count.
        """
        begin = 0.0 if self.calibration is None else self.calibration.worker_seconds
        found = estimate(trials, self.paces, workers or 1, begin, where)
        if workers is not None or found.device is None or found.device.gpu:
            return found
        return estimate(trials, self.paces, workers_here(found.device.threads), begin, where)

    @cached_property
    @_say_folder
    def columns(self) -> dict[str, list[Any]]:
        """The columns of `suite.store.load_frame`, of the stored runs of this grid's trials.

        Raises:
            InputError: an accuracy isn't that of its answers, or a run is a copy of another.
        """
        columns = to_columns(record for record in self.records.values() if record.trial_id in self.counted.ids)
        check_accuracies(columns)
        check_copies(columns, lambda trials: losses_of(load_history(self.store.folder), trials))
        search = self.expansion.search
        return columns if search is None else without_axis(columns, search.axis)

    @property
    def has_runs(self) -> bool:
        """Whether any run of this grid's trials is stored."""
        return bool(self.columns["trial_id"])

    @cached_property
    def frame(self) -> pd.DataFrame:
        """The columns as a data frame; raises `InputError` as `columns`."""
        columns = self.columns
        frame = to_frame(record for record in self.records.values() if record.trial_id in self.counted.ids)
        return frame.assign(**{name: columns[name] for name in ("arch", "recipe", "recipe_id")})

    @cached_property
    def history(self) -> pd.DataFrame:
        """A row per epoch of this grid's runs."""
        history = load_history(self.store.folder)
        return history[history["trial_id"].isin(self.counted.ids)]

    @cached_property
    def budget(self) -> Budget | None:
        """In what the grid is smaller than the paper's experiment: what it declares, or what `--set` made of it."""
        if self.grid.file.budget is not None:
            return self.grid.file.budget
        published = sorted(
            {value.epochs for file in self._claim_files for value in file.values.values() if value.epochs}
        )
        if not published:
            return None
        recipes = [trial.recipe for trial in self.expansion.trials]
        epochs = sorted({recipe.epochs for recipe in recipes} - set(published))
        images = sorted({recipe.train_images for recipe in recipes if recipe.train_images is not None})
        told = [f"{number} epochs, not {' or '.join(map(str, published))}" for number in epochs]
        told += [f"{number:,} training images" for number in images]
        return Budget(note="; ".join(told)) if told else None

    @property
    def budget_note(self) -> str:
        """In what the grid is smaller, in words; empty if it isn't."""
        return self.budget.note if self.budget is not None else ""

    @cached_property
    def _claim_files(self) -> list[Claims]:
        return read_claim_files(self.grid.claim_files, self.reader)

    @cached_property
    def claims(self) -> list[Claim]:
        """The claims to judge, as this grid's budget tests them."""
        found = [carried_over(claim, self.budget) for file in self._claim_files for claim in file.claims]
        choose = self.grid.file.choose
        if choose is None or choose.epoch == "last":
            return found
        best = {"metric": "top1_best_validation"}
        return [one.model_copy(update=best) if one.metric == "top1" else one for one in found]

    @_say_folder
    def published(self) -> list[PublishedTable]:
        """The tables of papers that this grid's claims are from, with its runs beside them."""
        titles: dict[tuple[str, str, str], str] = {}
        values: dict[tuple[str, str, str], list[Value]] = defaultdict(list)
        for file in self._claim_files:
            for value in file.values.values():
                key = (value.paper, value.version, value.table)
                titles.setdefault(key, file.title)
                values[key].append(value)
        epochs = any(value.epoch is not None for found in values.values() for value in found)
        history: Frame | None = {"trial_id": (), "epoch": (), "top1": ()}
        if epochs:
            history = None if missing_packages() else self.history
        tables = [
            published_table(found, titles[key], self.columns, history, self.budget) for key, found in values.items()
        ]
        answers = paper_answers(self.verdicts)
        return [
            replace(
                table,
                together=tuple(f"{one.treatment}: {one.sentence}" for one in answers if one.title == table.source),
            )
            for table in tables
        ]

    @cached_property
    def curves(self) -> dict[str, Curve]:
        """The tested epochs of this grid's runs, by trial id; none where the packages to read them are missing."""
        return {} if missing_packages() else curves_of(self.history)

    @cached_property
    @_say_folder
    def series(self) -> list[Series]:
        """The gains over the levels of each setting that is an axis of the grid."""
        axes = self.grid.setting_axes
        return all_series(rows(self.columns), axes) if axes and self.has_runs else []

    def level_tables(self) -> list[Table]:
        """What was chosen by validation, and the tables over the levels of settings; none without such an axis."""
        chosen = [choice_table(self.choices)] if self.choices else []
        if not self.series:
            return chosen
        return chosen + level_tables(self.series, self.curves, self.grid.file.reach, self.budget_note)

    @_say_folder
    def corruption_tables(self) -> list[Table]:
        """The errors on corrupted images; none if no run was tested on them."""
        return corruption_tables(self.columns, self.budget_note)

    @_say_folder
    def task_tables(self) -> list[Table]:
        """The intersections over union, and the measures of regions; none of runs that only classify."""
        return segmentation_tables(self.columns, self.budget_note) + region_tables(self.columns, self.budget_note)

    @cached_property
    @_say_folder
    def factorials(self) -> list[Factorial]:
        """What the runs say of methods that the grid combines."""
        return factorials(self.columns, self.grid.file.interactions)

    @cached_property
    @_say_folder
    def verdicts(self) -> list[Verdict]:
        """What the runs say about the claims; last come those that no runs can test, each with its reason."""
        testable = [claim for claim in self.claims if not claim.obstacle]
        judged = judge(
            self.columns,
            testable,
            seeds=self.seed_order,
            pairs_expected=self.grid.declared_seeds,
            history=None if missing_packages() else self.history,
        )
        return [*judged, *(not_tested(claim, claim.obstacle) for claim in self.claims if claim.obstacle)]


def open_workspace(
    grid: str,
    overrides: Sequence[str],
    seeds: int | None,
    results: Path,
    reports: Path,
    *,
    reading: bool = False,
    reader: ClaimReader | None = None,
) -> Workspace:
    """Load a grid and expand it, so that whatever is wrong with it is said before anything else happens.

    Args:
        grid: as `open_grid` has it.
        overrides: as `load_grid` has them.
        seeds: as `load_grid` has them.
        results: the folder of all grids' results.
        reports: the folder of all grids' reports.
        reading: nothing will be trained; see `open_grid`.
        reader: what reads the claim files, if several grids share it.
    """
    opened = open_grid(grid, overrides, seeds, results, reading=reading)
    workspace = Workspace(opened.grid, opened.results, opened.command, resolved(reports), reader)
    _ = workspace.expansion
    return workspace


def not_tested(claim: Claim, obstacle: str) -> Verdict:
    """The verdict on a claim that no runs are at hand for."""
    sentence = f"claimed {points(claim.claimed_gain)}{metric_of(claim.metric).note}: not tested; {obstacle}"
    return Verdict(claim, "not_tested", sentence, cell="", recipe="", caveats=(), evidence=None, obstacle=obstacle)
