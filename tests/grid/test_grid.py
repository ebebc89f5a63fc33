"""Grid files: the trials they stand for, and what is said about those that can't be used."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from suite.errors import InputError
from suite.grid.axes import GRID_ORDER
from suite.grid.grid import Grid, load_grid
from suite.models.joins import JOINS
from suite.models.positions import POSITIONS
from suite.run.plan import Expectation, expectation
from tests.conftest import GRID, REPOSITORY

Write = Callable[..., Path]

RECIPE = next(line for line in GRID.splitlines() if line.startswith("recipe:"))
PE_LEVELS, JOIN_LEVELS = sorted(POSITIONS), sorted(JOINS)


def refused(path: Path, *arguments: str, seeds: int | None = None) -> str:
    with pytest.raises(InputError) as caught:
        load_grid(path, arguments, seeds).expand()
    for problem in caught.value.problems:
        assert problem.what, problem
        assert problem.expected, problem
        assert problem.found, problem
        assert problem.where, problem
    return str(caught.value)


def cells(grid: Grid) -> set[tuple[str, ...]]:
    return {tuple(trial.levels.values()) for trial in grid.expand().trials}


class TestExpansion:
    def test_product_in_seed_order(self, write_grid: Write) -> None:
        trials = load_grid(write_grid()).expand().trials
        assert [(trial.seed_index, trial.join) for trial in trials] == [
            (0, "default"),
            (0, "lape"),
            (1, "default"),
            (1, "lape"),
        ]
        assert {trial.recipe.lr for trial in trials} == {1e-3}
        assert {trial.arch.name for trial in trials} == {"tiny"}

    @settings(max_examples=60, deadline=None)
    @given(
        pes=st.lists(st.sampled_from(PE_LEVELS), min_size=1, max_size=4, unique=True),
        joins=st.lists(st.sampled_from(JOIN_LEVELS), min_size=1, max_size=5, unique=True),
        seeds=st.lists(st.integers(0, 10**6), min_size=1, max_size=4, unique=True),
        data=st.data(),
    )
    def test_trials_plus_dropped_cells_are_the_product(
        self,
        tmp_path_factory: pytest.TempPathFactory,
        pes: list[str],
        joins: list[str],
        seeds: list[int],
        data: st.DataObject,
    ) -> None:
        excluded = data.draw(st.sampled_from(joins))
        text = (
            GRID.replace("[learnable]", str(pes)).replace("[default, lape]", str(joins)).replace("[0, 1]", str(seeds))
        )
        text += f"exclude: [{{when: {{join: {excluded}, pe: {pes[0]}}}, reason: chosen}}]\nimpossible: drop\n"
        path = tmp_path_factory.mktemp("grid") / "g.yaml"
        path.write_text(text)
        grid = load_grid(path)
        possible = [
            (pe, join)
            for pe, join in itertools.product(pes, joins)
            if JOINS[join].refuses_position(pe) is None and (pe, join) != (pes[0], excluded)
        ]
        if not possible:
            assert "no cells" in refused(path)
            return
        expansion = grid.expand()
        assert len(expansion.trials) == len(possible) * len(seeds)
        assert len(expansion.ids) == len(expansion.trials)
        assert len(possible) + len(expansion.dropped) == len(pes) * len(joins)
        assert all(dropped.reason for dropped in expansion.dropped)

    def test_excluded_cells_keep_their_reason(self, write_grid: Write) -> None:
        path = write_grid(("seeds:", "exclude: [{when: {join: [lape]}, reason: too dear}]\nseeds:"))
        expansion = load_grid(path).expand()
        assert {trial.join for trial in expansion.trials} == {"default"}
        assert [(cell.label, cell.reason) for cell in expansion.dropped] == [
            ("tiny learnable lape ln default digits", "too dear")
        ]

    def test_included_cells_are_added_and_take_what_is_single_from_the_axes(self, write_grid: Write) -> None:
        path = write_grid(("seeds:", "include: [{pe: sin1d, join: shared}]\nseeds:"))
        assert cells(load_grid(path)) == {
            ("tiny", "learnable", "default", "ln", "default", "digits"),
            ("tiny", "learnable", "lape", "ln", "default", "digits"),
            ("tiny", "sin1d", "shared", "ln", "default", "digits"),
        }

    def test_an_included_cell_must_say_what_is_not_single(self, write_grid: Write) -> None:
        assert "must say its join" in refused(write_grid(("seeds:", "include: [{pe: sin1d}]\nseeds:")))

    def test_a_union_of_blocks_holds_each_cell_once(self, write_grid: Write) -> None:
        one, two = (
            f"{{axes: {{arch: [tiny], pe: [learnable], join: {joins}, dataset: [digits]}}}}"
            for joins in ("[default, lape]", "[lape, shared]")
        )
        path = write_grid((GRID[GRID.index("axes:") :], f"blocks: [{one}, {two}]\n"))
        assert [trial.join for trial in load_grid(path).expand().trials] == ["default", "lape", "shared"] * 2

    def test_a_block_may_have_its_own_recipe_and_overrides_reach_it(self, write_grid: Write) -> None:
        axes = "{arch: [tiny], pe: [learnable], join: [default], dataset: [digits]}"
        recipe = "{name: long, version: 1, epochs: 9, batch_size: 64, lr: 1e-3}"
        path = write_grid(
            (GRID[GRID.index("axes:") :], f"blocks: [{{axes: {axes}}}, {{axes: {axes}, recipe: {recipe}}}]\n")
        )
        trials = load_grid(path).expand().trials
        assert [(trial.recipe_name[:6], trial.recipe.epochs) for trial in trials[:2]] == [("inline", 2), ("long", 9)]
        trials = load_grid(path, ["recipe.epochs=4"]).expand().trials
        assert {trial.recipe.epochs for trial in trials} == {4}

    def test_a_recipe_by_name_with_changes_is_named_after_both(self, write_grid: Write, tmp_path: Path) -> None:
        (tmp_path / "recipes").mkdir()
        (tmp_path / "recipes" / "short.yaml").write_text("{version: 3, epochs: 2, batch_size: 8, lr: 1e-2}")
        path = write_grid((RECIPE, "recipe: {base: short, epochs: 5}"))
        trial = load_grid(path, ["recipe.lr=1e-3"]).expand().trials[0]
        assert (trial.recipe.version, trial.recipe.epochs, trial.recipe.batch_size, trial.recipe.lr) == (3, 5, 8, 1e-3)
        assert trial.recipe_name == "short+epochs=5+lr=0.001"

    @pytest.mark.parametrize(("count", "expected"), [(1, [3]), (2, [3, 1]), (4, [3, 1, 4, 5])])
    def test_the_number_of_seeds_can_be_set(self, write_grid: Write, count: int, expected: list[int]) -> None:
        grid = load_grid(write_grid(("[0, 1]", "[3, 1]")), seeds=count)
        assert grid.file.seeds == expected

    def test_a_declared_data_set_is_used(self, write_grid: Write) -> None:
        declared = (
            "datasets: {mine: {num_classes: 3, image_size: 12, channels: 3, train_images: 500, test_images: 20,"
            f" mean: [0.5, 0.5, 0.5], std: [0.2, 0.2, 0.2], checksum: '{'ab' * 32}'}}}}\nseeds:"
        )
        trial = load_grid(write_grid(("seeds:", declared), ("[digits]", "[mine]"))).expand().trials[0]
        assert (trial.dataset.name, trial.dataset.num_classes, trial.dataset.std) == ("mine", 3, (0.2, 0.2, 0.2))
        assert trial.config["dataset_checksum"] == "ab" * 32


class TestRefusals:
    @pytest.mark.parametrize(
        ("old", "new", "told"),
        [
            ("seeds: [0, 1]", "seeds: [0, 1]\nsedes: 3", "did you mean 'seeds'"),
            ("[learnable]", "[lernable]", "did you mean 'learnable'"),
            ("[default, lape]", "[default, lap]", "did you mean 'lape'"),
            ("[digits]", "[digit]", "did you mean 'digits'"),
            ("arch: [tiny]", "arch: [deit_tinny]", "did you mean 'deit_tiny'"),
            ("family: vit_lite", "family: vit_light", "did you mean 'vit_lite'"),
            ("mlp_ratio: 1}", "mlp_ratoi: 1}", "did you mean 'mlp_ratio'"),
            ("family: vit_lite, ", "", "names no family"),
            ("[default, lape]", "[]", "at least 1 entry"),
            ("epochs: 2", "epochs: two", "'two' (str)"),
            ("epochs: 2", "epochs: 0", "a number of at least 1"),
            ("epochs: 2", "epochs: 2.5", "2.5 (float)"),
            ("lr: 1e-3", "lr: .inf", "inf (float)"),
            ("mlp_ratio: 1}", "mlp_ratio: .inf}", "finite"),
            ("lr: 1e-3", "lr: -1e-3", "a number above 0"),
            ("lr: 1e-3", "lr: 1e-3, warmup_epochs: 2", "must be less than epochs"),
            ("lr: 1e-3", "lr: 1e-3, min_lr: 1", "must not exceed lr"),
            ("lr: 1e-3", "lr: 1e-3, betas: [0.9, 1.0]", "betas"),
            ("patch_size: 4", "patch_size: 3", "divisible by the patch size"),
            ("embed_dim: 8", "embed_dim: 9", "divisible by the number of heads"),
            ("num_heads: 2", "num_heads: 0", "a number of at least 1"),
            ("[default, lape]", "[unshared]\n  norm: [dtnn]", "unknown norm"),
            ("[default, lape]", "[default]\n  norm: [dtn]", "choose norm ln, rmsnorm, dyt; or add"),  # two blocks
            ("[default, lape]", "[default]\n  norm: [l2bn]", "is of feature maps, and tiny is a transformer"),
            ("arch: [tiny]\n  pe: [learnable]", "arch: [resnet20]\n  pe: [none]\n  norm: [in]", "choose norm bn, l2bn"),
            ("arch: [tiny]", "arch: [resnet20]\n  norm: [bn]", "a site that arch resnet20 doesn't have"),
            ("seeds: [0, 1]", "seeds: [0, 0]", "each seed index once"),
            ("seeds: [0, 1]", "seeds: []", "at least 1 entry"),
            ("seeds: [0, 1]", f"seeds: {list(range(1001))}", "at most 1000 entries"),
            ("seeds: [0, 1]", f"seeds: [{2**62}]", "a number below"),
            ("[default, lape]", "[default, lape, default]", "each level once, not 'default' twice"),
            ("epochs: 2", "epochs: 100001", "a number of at most 100000"),
            ("lr: 1e-3", "lr: 1e-3, crop_padding: 257", "a number of at most 256"),
            ("lr: 1e-3", "lr: 1e-3, test_every: 3", "test_every (3) must not exceed epochs (2)"),
            ("architectures:\n", "architectures:\n  spare: {family: vit_lite, depth: 0}\n", "spare"),
            ("architectures:\n", "datasets: {spare: {num_classes: 3}}\narchitectures:\n", "datasets.spare.image_size"),
            ("  tiny:", "  a/b: {family: deit_tiny}\n  tiny:", "letters, digits"),
            ("  tiny:", '  "a\\nb": {family: deit_tiny}\n  tiny:', "letters, digits"),
            ("name: small", 'name: ""', "lower-case letters"),
            ("name: small", 'name: "small\\n"', "lower-case letters"),
            ("name: small", "name: a/b", "lower-case letters"),
            ("name: small", f"name: {'x' * 101}", "at most 100 characters"),
            ("seeds: [0, 1]", "seeds: [-1]", "a number of at least 0"),
            ("name: small", "name: Small Grid", "lower-case letters"),
            ("train_images: 128", "train_images: 5", "from 10 to"),
            ("train_images: 128", "train_images: 50", "batch_size"),
            ("axes:", "blocks: [{axes: {arch: tiny, pe: none, join: default, dataset: digits}}]\naxes:", "either axes"),
            (RECIPE, "recipe: digitz", "unknown recipe"),
            (RECIPE, "recipe: ../small", "unknown recipe"),
            (RECIPE, f"recipe: {REPOSITORY}/grids/recipes/digits", "unknown recipe"),
            (RECIPE, "", "no recipe"),
            ("batch_size: 64, ", "", "'recipe.batch_size' is missing"),
        ],
    )  # fmt: skip
    def test_each_says_what_where_and_the_nearest(self, write_grid: Write, old: str, new: str, told: str) -> None:
        message = refused(write_grid((old, new)))
        assert told in message
        assert "small.yaml" in message

    def test_fixed_pe_with_unshared_is_refused_or_dropped_on_demand(self, write_grid: Write) -> None:
        changes = ("[learnable]", "[learnable, sin1d]"), ("[default, lape]", "[default, unshared]")
        assert "learns a table per block, but pe 'sin1d' is fixed" in refused(write_grid(*changes))
        expansion = load_grid(write_grid(*changes, ("seeds:", "impossible: drop\nseeds:"))).expand()
        assert len(expansion.trials) == 6
        assert [cell.label for cell in expansion.dropped] == ["tiny sin1d unshared ln default digits"]

    def test_no_position_can_only_join_by_default(self, write_grid: Write) -> None:
        assert "nothing to join" in refused(write_grid(("[learnable]", "[none]")))

    def test_sin2d_needs_a_width_divisible_by_four(self, write_grid: Write) -> None:
        message = refused(write_grid(("[learnable]", "[sin2d]"), ("embed_dim: 8", "embed_dim: 6")))
        assert "divisible by 4" in message

    def test_a_grid_whose_cells_are_all_excluded(self, write_grid: Write) -> None:
        path = write_grid(("seeds:", "exclude: [{when: {pe: learnable}, reason: r}]\nseeds:"))
        assert "no cells" in refused(path)

    def test_an_unknown_level_in_a_rule(self, write_grid: Write) -> None:
        path = write_grid(("seeds:", "exclude: [{when: {join: lap}, reason: r}]\nseeds:"))
        assert "did you mean 'lape'" in refused(path)

    def test_two_names_for_one_cell(self, write_grid: Write) -> None:
        same = "twin: {family: vit_lite, patch_size: 4, embed_dim: 8, depth: 2, num_heads: 2, mlp_ratio: 1}"
        message = refused(write_grid(("architectures:\n", f"architectures:\n  {same}\n"), ("[tiny]", "[tiny, twin]")))
        assert "two names for the same cell" in message

    def test_a_wrong_recipe_override_is_told_as_typed(self, write_grid: Write) -> None:
        assert "--set recipe.epochs=many" in refused(write_grid(), "recipe.epochs=many")
        assert "did you mean 'epochs'" in refused(write_grid(), "recipe.epoch=3")

    @pytest.mark.parametrize(("count", "told"), [(0, "no seeds"), (99999, "too many seeds")])
    def test_an_impossible_number_of_seeds(self, write_grid: Write, count: int, told: str) -> None:
        with pytest.raises(InputError, match=told):
            load_grid(write_grid(), seeds=count)

    def test_the_other_kinds_of_files(self) -> None:
        folder = REPOSITORY / "grids"
        assert "a claim file, not a grid" in refused(folder / "claims" / "quickstart.yaml")
        assert "a recipe, not a grid" in refused(folder / "recipes" / "digits.yaml")

    def test_an_error_of_the_whole_file_does_not_repeat_it(self, write_grid: Write) -> None:
        message = refused(write_grid(("seeds: [0, 1]", "seeds: [0, 0]")))
        assert "found:      the keys name, seeds, recipe, architectures, axes" in message


@pytest.mark.parametrize("path", sorted((REPOSITORY / "grids").glob("*.yaml")), ids=lambda path: path.stem)
def test_every_grid_of_the_project_is_valid(path: Path) -> None:
    grid = load_grid(path)
    assert grid.name == path.stem
    expansion = grid.expand()
    seeds, cells = len(grid.file.seeds), len({trial.cell_id for trial in expansion.trials})
    if (search := expansion.search) is None:
        assert len(expansion.trials) == seeds * cells
    else:
        assert len(expansion.trials) == len(search.seeds) * cells + seeds * len(search.sides)
    for name in grid.file.claims:
        assert (path.parent / name).is_file()


def test_the_axes_are_those_of_a_trial(write_grid: Write) -> None:
    assert tuple(load_grid(write_grid()).expand().trials[0].levels) == GRID_ORDER


class TestExpectations:
    def expect(self, write_grid: Write, text: str) -> Path:
        return write_grid(("seeds:", f"expect: {text}\nseeds:"))

    def test_the_first_entry_with_a_number_counts(self, write_grid: Write) -> None:
        path = self.expect(
            write_grid,
            "[{when: {join: lape}, top1: 60, source: a}, {top1: 50, hours: 2, hardware: a GPU, source: a}]",
        )
        grid = load_grid(path)
        found = expectation(grid.expand().trials, grid.file.expect)
        assert found == Expectation({"a GPU": 8.0}, 0, 50.0, 60.0)
        half = load_grid(self.expect(write_grid, "[{when: {join: lape}, hours: 1.5, hardware: x, source: a}]"))
        found = expectation(half.expand().trials, half.file.expect)
        assert (found.hours, found.unknown) == ({"x": 3.0}, 2)
        assert math.isnan(found.low)

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("[{source: a}]", "top1 or hours"),
            ("[{hours: 1, source: a}]", "hours and hardware together"),
            ("[{top1: 101, source: a}]", "a number of at most 100"),
            ("[{top1: 50}]", "source"),
            ("[{when: {join: lappe}, top1: 50, source: a}]", "did you mean 'lape'"),
        ],
    )
    def test_bad_ones(self, write_grid: Write, text: str, message: str) -> None:
        with pytest.raises(InputError, match=message):
            load_grid(self.expect(write_grid, text)).expand()
