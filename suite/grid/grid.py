"""A grid file, and the trials that it expands to."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from suite.errors import InputError, Problem, nearest
from suite.grid.axes import AXES, GRID_ORDER
from suite.grid.choice import Search, check_search, check_validation, find_sides
from suite.grid.compatibility import check_cell, check_task, weights_of_nothing
from suite.grid.documents import MOST_PROBLEMS, Document, Location, check_inside, read_document
from suite.grid.expansion import Dropped, Point, block_cells, block_size, setting_levels, setting_place
from suite.grid.levels import Catalogue
from suite.grid.losses import without_idle_weights
from suite.grid.schema import MOST_SEEDS, MOST_TRIALS, Block, GridFile, is_claim_file
from suite.grid.settings import SETTINGS
from suite.grid.shipped import find_named, known_files
from suite.grid.trial import Trial
from suite.grid.variants import Variants, varied_levels
from suite.models.levels import Cell
from suite.store.files import real_path


@dataclass(frozen=True)
class Expansion:
    """The trials of a grid and its dropped cells.

    Args:
        trials: the trials, in the order in which they run.
        dropped: the cells that don't become trials, with reasons.
        stack_seeds: the most seeds of a cell that are trained together, where that is faster.
        search: what the grid searches before its own seeds are trained. `trials` then has the training runs of the
            search, and those of the first level of each side in place of the level that will be chosen.
    """

    trials: tuple[Trial, ...]
    dropped: tuple[Dropped, ...]
    stack_seeds: int = 1
    search: Search | None = None

    @cached_property
    def ids(self) -> frozenset[str]:
        """The ids of the trials."""
        return frozenset(trial.id for trial in self.trials)


@dataclass(frozen=True)
class Grid:
    """A validated grid file, with the overrides and the number of seeds from the command line: see `load_grid`."""

    file: GridFile
    document: Document
    overrides: tuple[str, ...] = ()
    seeds: int | None = None

    def reloaded(self) -> Grid:
        """Load the same grid again from its files. Raises `InputError` as `load_grid` does."""
        return load_grid(self.document.path, self.overrides, self.seeds)

    @property
    def declared_seeds(self) -> int:
        """How many seeds the file fixes, whatever number was asked for from outside."""
        return len(self.document.values["seeds"])

    def with_seeds(self, number: int) -> Grid:
        """The grid with this number of seed indices: first its own, then the integers after its largest."""
        own = self.file.seeds
        searched = () if self.file.choose is None else self.file.choose.seeds
        candidates = range(max(own) + 1, max(own) + 1 + number + len(searched))
        following = [seed for seed in candidates if seed not in searched]
        return replace(self, file=self.file.model_copy(update={"seeds": [*own, *following][:number]}))

    @property
    def name(self) -> str:
        """The grid's name, which is also the name of its folders under results/ and reports/."""
        return self.file.name

    @property
    def claim_files(self) -> list[Path]:
        """The claim files to judge. Raises `InputError` for one outside the grid's folder and `grids/`."""
        folder = self.document.path.parent
        files = [find_named(folder, name) for name in self.file.claims]
        for index, file in enumerate(files):
            check_inside(file, folder, self.document.where(("claims", index)))
        return files

    @property
    def setting_axes(self) -> list[tuple[str, ...]]:
        """The settings that are axes with several levels; tied ones as a group of their own."""
        found: dict[tuple[str, ...], None] = {}
        for block, _ in self._blocks():
            found |= {(name,): None for name, levels in block.axes.settings.items() if len(levels) > 1}
            found |= {tuple(group): None for group in block.axes.tied}
        if self.file.choose is not None:  # each side has a single level on it
            found.pop((self.file.choose.axis,), None)
        return list(found)

    def expand(self) -> Expansion:
        """Expand the grid into trials.

        The trials are ordered by seed, then by cell. A grid that is stopped early then has complete pairs of baseline
        and treatment.

        Raises:
            InputError: a level is unknown, a cell can't be built (unless `impossible: drop`), or there is no cell.
        """
        cells: dict[str, Trial] = {}
        dropped: list[Dropped] = []
        problems: dict[Problem, None] = {}  # an ordered set
        catalogue = Catalogue(self.file, self.document, self._sizes())
        for name, axis in AXES.items():
            declared = getattr(self.file, axis.declared_as) if axis.declared_as else ()
            for level in declared:  # check them even if no cell uses them
                catalogue.find(name, level, (axis.declared_as, level))
        for index, expected in enumerate(self.file.expect):
            for name in GRID_ORDER:
                for level in getattr(expected.when, name) or ():
                    catalogue.find(name, level, ("expect", index, "when", name))
        self._check_budget(catalogue)
        if self.file.choose is not None and not self.file.not_runnable:
            check_search(self.file.choose, [block for block, _ in self._blocks()], self.document)
        for block, at in self._blocks():
            of_block = list(block_cells(block, at, catalogue, self.document))
            losses = {cell["loss"] for cell in of_block if not isinstance(cell, Dropped)}
            variants = Variants(block, at, self._recipe(block, at), self.document, losses)
            for cell in of_block:
                if isinstance(cell, Dropped):
                    dropped.append(cell)
                    continue
                try:
                    trial = self._trial(cell, catalogue, variants)
                except InputError as error:
                    if self.file.impossible == "drop":
                        dropped.append(Dropped(cell, "; ".join(problem.what for problem in error.problems)))
                        continue
                    problems.update(dict.fromkeys(error.at(self.document.where((*at, "axes"))).problems))
                    if len(problems) > MOST_PROBLEMS:
                        break
                    continue
                self._check_one_name(cells.setdefault(trial.cell_id, trial), trial)
        if problems:
            raise InputError(problems=problems)
        if not cells and not self.file.not_runnable:
            raise InputError(
                "the grid has no cells",
                expected="at least one cell to train",
                found="no cell at all" if not dropped else f"{len(dropped)} cells, all dropped: {dropped[0].reason}",
                where=str(self.document.path),
                fix="loosen the exclude rules, or add levels to the axes",
            )
        search, sides = None, list(cells.values())
        if (choose := self.file.choose) is not None and cells:
            search = Search(choose.axis, tuple(choose.seeds), choose.epoch, find_sides(choose.axis, sides))
            sides = [side[0] for side in search.sides]
        trials = [trial.with_seed(seed) for seed in self.file.seeds for trial in sides]
        first = search.trials if search is not None else []
        return Expansion((*first, *trials), tuple(dropped), self.file.stack_seeds, search)

    def check_size(self) -> None:
        """Check the number of trials without expanding the grid.

        Raises:
            InputError: there are more than `MOST_TRIALS`, probably by mistake.
        """
        seeds, most = len(self.file.seeds), (0, Location())
        if self.file.choose is not None:
            seeds = max(seeds, len(self.file.choose.seeds))
        total = 0
        for block, at in self._blocks():
            cells = block_size(block)
            total, most = total + cells, max(most, (cells, (*at, "axes")), key=lambda one: one[0])
        if total * seeds > MOST_TRIALS:
            raise InputError(
                "the grid has too many trials",
                expected=f"at most {MOST_TRIALS:,}: the product of its axes, times its seeds",
                found=f"{total:,} cells × {seeds} seeds = {total * seeds:,}",
                where=self.document.where(most[1]),
                fix="name fewer levels or seeds, or make several grids of it",
            )

    def _blocks(self) -> Iterator[tuple[Block, Location]]:
        if self.file.axes is not None:
            yield Block(axes=self.file.axes, exclude=self.file.exclude, include=self.file.include), ()
        for index, block in enumerate(self.file.blocks):
            yield block, ("blocks", index)

    def _check_budget(self, catalogue: Catalogue) -> None:
        """Check the budget's `stands_for`. A typing error there would leave the grid's claims untested.

        Raises:
            InputError: a level is unknown, isn't in this grid, or two levels stand for the same published level.
        """
        stands_for = self.file.budget.stands_for if self.file.budget is not None else {}
        for axis, levels in stands_for.items():
            named = {level for block, _ in self._blocks() for level in getattr(block.axes, axis)}
            named |= {level for block, _ in self._blocks() for cell in block.include if (level := getattr(cell, axis))}
            for ours, theirs in levels.items():
                at: Location = ("budget", "stands_for", axis, ours)
                catalogue.find(axis, theirs, at)
                if ours not in named:
                    raise InputError(
                        f"{ours!r} stands for {theirs!r}, but isn't a level of this grid",
                        expected=f"a level of the axis {axis}",
                        found=repr(ours),
                        where=self.document.where(at),
                        fix=nearest(ours, named) if named else "leave stands_for out of a grid without cells",
                    )
                if theirs in named and levels.get(theirs, theirs) == theirs and theirs != ours:
                    raise InputError(
                        f"both {ours!r} and {theirs!r} would stand for the published {theirs!r}",
                        expected=f"one level of this grid for each published {axis}",
                        found=f"{theirs!r} is a level of this grid too",
                        where=self.document.where(at),
                        fix="leave one of the two out, or put them into grids of their own",
                    )

    def _sizes(self) -> dict[str, tuple[Any, Location]]:
        """For each size that is an axis of some block, its first level and the location of that."""
        found: dict[str, tuple[Any, Location]] = {}
        for block, at in self._blocks():
            for name, levels in setting_levels(block).items():
                if not SETTINGS[name].of_recipe:
                    place = setting_place(block, at, name, levels[0])
                    found.setdefault(SETTINGS[name].key, (levels[0], place))
        return found

    def _trial(self, cell: Point, catalogue: Catalogue, variants: Variants) -> Trial:
        arch, recipe = variants.arch(cell, catalogue), variants.recipe(cell)
        dataset = catalogue.find("dataset", cell["dataset"], ())
        check_task(self.file.task, dataset, self.document.where(("task",)) if "task" in self.document.values else "")
        levels = {axis: cell[axis] for axis in GRID_ORDER if not AXES[axis].declared_as}
        check_cell(Cell(arch, dataset.image_size, levels, recipe.recipe), dataset, recipe)
        pretrained = recipe.recipe.pretrained
        for level in pretrained.weights if pretrained is not None and pretrained.axis == "arch" else ():
            try:
                catalogue.find("arch", level, ())
            except InputError as error:
                raise weights_of_nothing("arch", level, error.problems[0].fix, recipe) from error
        if self.file.choose is not None:
            check_validation(recipe.recipe, recipe.where("validation"))
        return Trial(
            grid=self.name,
            arch=arch,
            dataset=dataset,
            chosen=levels,
            recipe=without_idle_weights(recipe.recipe, cell["loss"]),
            recipe_name=recipe.name,
            grid_seed=self.file.seed,
            seed_index=self.file.seeds[0],
            varied=varied_levels(cell, recipe, arch),
        )

    def _check_one_name(self, first: Trial, second: Trial) -> None:
        names = [(trial.label, trial.recipe_name) for trial in (first, second)]
        if names[0] != names[1]:
            raise InputError(
                "two names for the same cell",
                expected="one name for each architecture, data set and recipe, so that a result has one row",
                found=" and ".join(f"{label!r} by recipe {recipe!r}" for label, recipe in names),
                where=str(self.document.path),
                fix="use one of the two names throughout the grid",
            )

    def _recipe(self, block: Block, at: Location) -> tuple[dict[str, Any] | None, Location]:
        """The values of a block's recipe, and their location."""
        return (self.file.recipe, ("recipe",)) if block.recipe is None else (block.recipe, (*at, "recipe"))


def load_grid(path: str | Path, overrides: Sequence[str] = (), seeds: int | None = None) -> Grid:
    """Read and validate a grid file.

    Args:
        path: a file, or the name of one in grids/ or of one that comes with the suite.
        overrides: assignments `key.key=value`, applied as if they were written in the file. `recipe.key=value` changes
            the recipes of all blocks.
        seeds: the number of seed indices to use: first those of the file, then the integers after its largest.
            None: those of the file.

    Raises:
        InputError: with file, line, expected and found for every problem in the file.
    """
    document = read_document(_find(Path(path)))
    for assignment in overrides:
        _override(document, assignment)
    _check_kind(document)
    file = document.validate(GridFile)
    if seeds is not None and not 1 <= seeds <= MOST_SEEDS:
        raise InputError(
            "no seeds" if seeds < 1 else "too many seeds",
            expected=f"--seeds from 1 to {MOST_SEEDS}",
            found=str(seeds),
            where=f"--seeds {seeds}",
            fix="leave it out, or give another",
        )
    grid = Grid(file, document, tuple(overrides), seeds)
    if seeds is not None:
        grid = grid.with_seeds(seeds)
    grid.check_size()
    return grid


def _find(path: Path) -> Path:
    """Return the grid's file, from a path or from a bare name: of a grid in grids/, or of one of the suite's."""
    if path.suffix or len(path.parts) > 1 or os.path.isfile(path):  # Path.is_file would fail for a very long name
        return path
    known = known_files()
    if path.name not in known:
        raise InputError(
            f"no such grid {path.name!r}",
            expected="a grid file, or the name of one in grids/ or of one that comes with the suite",
            found="nothing",
            where=str(real_path(Path("grids"))),
            fix=nearest(path.name, known),
        )
    return known[path.name]


def _check_kind(document: Document) -> None:
    """Raise `InputError` if the file is a claim file or a recipe instead of a grid."""
    keys = document.values.keys()
    if is_claim_file(keys):
        kind, use = "a claim file", "name it under `claims:` in a grid, and give that grid"
    elif "version" in keys and not keys & {"axes", "blocks", "seeds"}:
        kind, use = "a recipe", "name it as `recipe:` in a grid, and give that grid"
    else:
        return
    raise InputError(f"{kind}, not a grid", expected="a grid file", found=kind, where=str(document.path), fix=use)


def _override(document: Document, assignment: str) -> None:
    blocks = document.values.get("blocks")
    listed = blocks if isinstance(blocks, list) else []
    own_recipe = [index for index, block in enumerate(listed) if isinstance(block, dict) and "recipe" in block]
    if assignment.startswith("recipe") and own_recipe:
        for index in own_recipe:
            document.override(assignment, ("blocks", index))
        if "recipe" not in document.values:
            return
    document.override(assignment)
