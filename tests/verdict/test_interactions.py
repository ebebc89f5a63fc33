"""Effects and sums of factorials: planted ones come out, nothing is imputed, and statsmodels agrees."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats as scipy_stats
from statsmodels.regression.linear_model import OLS
from statsmodels.regression.mixed_linear_model import MixedLM
from statsmodels.stats.multitest import multipletests

from suite.grid.schema import Interactions
from suite.verdict.interactions import FACTORS, Effect, Factorial, effect_weights, factorials, two_sided
from suite.verdict.stats.blocked import blocked_model
from tests.frames import frame_of, run

AXES = {"join": ("default", "lape"), "norm": ("ln", "dtn"), "loss": ("default", "diversepatch")}
CELLS = list(itertools.product(*AXES.values()))
Cell = tuple[str, ...]
Accuracy = Callable[[Cell, int], float]


def rows(accuracy: Accuracy, seeds: int = 4, cells: Sequence[Cell] = CELLS, **values: Any) -> list[dict[str, Any]]:
    """A run of each cell (join, norm, loss) and seed."""
    return [
        run(seed, accuracy(cell, seed), **dict(zip(FACTORS, cell, strict=True)), **values)
        for cell in cells
        for seed in range(seeds)
    ]


def only(frame: pd.DataFrame, **test: float) -> Factorial:
    (found,) = factorials(frame, Interactions(**test))
    return found


def effect(found: Factorial, **levels: str) -> Effect:
    (one,) = (one for one in found.effects if one.levels == levels)
    return one


def noisy(seed: int = 0, scale: float = 0.5) -> Accuracy:
    """A seed's own level, and noise of each run."""
    random = np.random.default_rng(seed)
    draws = {(cell, number): random.normal(0, scale) for cell in CELLS for number in range(20)}
    return lambda cell, number: 50 + number + draws[cell, number]


planted = st.floats(-3, 3, allow_nan=False)


@given(st.tuples(*[planted] * 7), st.lists(planted, min_size=4, max_size=4))
@settings(max_examples=25, deadline=None)
def test_planted_effects_come_out_exactly(parts: tuple[float, ...], seeds: list[float]) -> None:
    """y = seed + Σ β of each set of methods that a cell has: a sum of methods gains its singles' β, and its own."""
    named = [levels for n in (1, 2, 3) for levels in itertools.combinations(("lape", "dtn", "diversepatch"), n)]
    beta = dict(zip(named, parts, strict=True))

    def accuracy(cell: Cell, seed: int) -> float:
        return 50 + seeds[seed] + sum(part for levels, part in beta.items() if set(levels) <= set(cell))

    found = only(frame_of(rows(accuracy)))
    assert [one.order for one in found.effects] == [1, 1, 1, 2, 2, 2, 3]
    triple = beta["lape", "dtn", "diversepatch"]
    pairs = {frozenset(levels): beta[levels] for levels in named if len(levels) == 2}
    for one in found.effects:
        levels = tuple(level for level in ("lape", "dtn", "diversepatch") if level in one.levels.values())
        with_it = [part for pair, part in pairs.items() if set(levels) < pair]
        share = {1: 0.25, 2: 0.5, 3: 0.0}[one.order]
        expected = beta[levels] + sum(with_it) / 2 * (one.order == 1) + share * triple
        assert one.gain.mean == pytest.approx(expected, abs=1e-9)
        assert one.gain.identical
        assert one.pooled is None  # there is no noise to measure by
    for one in found.sums:
        levels = tuple(level for level in ("lape", "dtn", "diversepatch") if level in one.levels.values())
        assert one.predicted == pytest.approx(sum(beta[level,] for level in levels), abs=1e-9)
        inside = sum(part for its, part in beta.items() if set(its) <= set(levels))
        assert one.observed == pytest.approx(inside, abs=1e-9)
        assert one.difference.mean == pytest.approx(one.observed - one.predicted, abs=1e-9)


@given(st.integers(0, 1000), st.randoms(use_true_random=False))
@settings(max_examples=10, deadline=None)
def test_the_order_of_rows_means_nothing(seed: int, random: Any) -> None:
    listed = rows(noisy(seed))
    shuffled = list(listed)
    random.shuffle(shuffled)
    assert repr(factorials(frame_of(listed))) == repr(factorials(frame_of(shuffled)))


@given(
    st.integers(1, 3).flatmap(lambda n: st.lists(st.integers(2, 4), min_size=n, max_size=n)),
    st.data(),
)
def test_the_weights_of_an_effect_sum_to_zero(sizes: list[int], data: st.DataObject) -> None:
    axes = {axis: tuple(map(str, range(size))) for axis, size in zip(FACTORS, sizes, strict=False)}
    chosen = data.draw(st.lists(st.sampled_from(list(axes)), min_size=1, unique=True))
    weights = effect_weights(axes, {axis: data.draw(st.sampled_from(axes[axis][1:])) for axis in chosen})
    assert math.fsum(weights.values()) == pytest.approx(0, abs=1e-12)
    assert math.fsum(map(abs, weights.values())) == pytest.approx(2 ** len(chosen))


@pytest.mark.parametrize("seed", range(3))
def test_an_effect_is_the_paired_t_test_of_its_seeds(seed: int) -> None:
    """By hand, for the two-way interaction."""
    accuracy = noisy(seed)
    one = effect(only(frame_of(rows(accuracy))), join="lape", loss="diversepatch")
    values = []
    for number in range(4):
        its = {cell: accuracy(cell, number) for cell in CELLS}
        gains = [
            np.mean([its["lape", norm, loss] - its["default", norm, loss] for norm in AXES["norm"]])
            for loss in AXES["loss"]
        ]
        values.append(gains[1] - gains[0])
    test = scipy_stats.ttest_1samp(values, 0)
    low, high = test.confidence_interval(0.95)
    assert one.seeds == (0, 1, 2, 3)
    assert (one.gain.mean, one.gain.low, one.gain.high) == pytest.approx((np.mean(values), low, high))
    assert one.p == pytest.approx(test.pvalue)
    assert one.smallest > 0


@pytest.mark.parametrize("seed", range(3))
def test_the_blocked_model_is_the_factorial_regression(seed: int) -> None:
    """Of all runs on 0/1-coded methods and their products, seeds as blocks, fitted by statsmodels in another coding."""
    accuracy = noisy(seed)
    found = only(frame_of(rows(accuracy)))
    runs = [(cell, number) for cell in CELLS for number in range(4)]
    half = np.array([[0.5 if level == usual[1] else -0.5 for level, usual in zip(cell, AXES.values(), strict=True)]
                     for cell, _ in runs])  # fmt: skip
    chosen = [part for order in (1, 2, 3) for part in itertools.combinations(range(3), order)]
    columns = [np.prod(half[:, part], axis=1) for part in chosen]
    blocks = [[float(number == block) for _, number in runs] for block in range(4)]
    fit = OLS([accuracy(*one) for one in runs], np.column_stack([*columns, *blocks])).fit()
    for place, one in enumerate(found.effects):  # −1/2 to +1/2 on each axis: the coefficient is the contrast of means
        assert one.gain.mean == pytest.approx(fit.params[place])
        assert one.pooled is not None
        assert one.pooled.estimate == pytest.approx(one.gain.mean)  # balanced
        assert one.pooled.p == pytest.approx(fit.pvalues[place])
        assert (one.pooled.low, one.pooled.high) == pytest.approx(tuple(fit.conf_int()[place]))


def test_a_mixed_model_has_the_same_estimates_and_errors() -> None:
    """Balanced data: what it adds is a normal distribution where t is right, which is too narrow for few seeds."""
    accuracy = noisy(5)
    found = only(frame_of(rows(accuracy, seeds=6)))
    runs = [(cell, number) for cell in CELLS for number in range(6)]
    design = np.array([[float(cell == other) for other in CELLS] for cell, _ in runs])
    fit = MixedLM([accuracy(*one) for one in runs], design, groups=[number for _, number in runs]).fit()
    for one in found.effects:
        weights = effect_weights(found.axes, one.levels)
        row = np.array([weights[cell] for cell in CELLS])
        error = math.sqrt(row @ fit.cov_params()[:8, :8] @ row)
        assert one.pooled is not None
        assert row @ fit.fe_params == pytest.approx(one.gain.mean)
        quantile = scipy_stats.t.ppf(0.975, 7 * 5)
        assert (one.pooled.high - one.pooled.low) / 2 == pytest.approx(quantile * error, rel=1e-3)


def test_p_values_are_adjusted_over_all_factorials() -> None:
    frame = frame_of(rows(noisy(1)) + rows(noisy(2), pe="sin1d"))
    effects = [one for found in factorials(frame) for one in found.effects]
    assert len(effects) == 14
    expected = multipletests([one.p for one in effects], method="holm")[1]
    assert [one.p_adjusted for one in effects] == pytest.approx(expected)
    sums = [one for found in factorials(frame) for one in found.sums]
    assert [one.p_adjusted for one in sums] == pytest.approx(
        multipletests([two_sided(one.difference) for one in sums], method="holm")[1]
    )


def test_a_combination_of_two_is_the_difference_of_differences() -> None:
    cells = [cell for cell in CELLS if cell[2] == "default"]
    found = only(frame_of(rows(noisy(), cells=cells)))
    assert list(found.axes) == ["join", "norm"]
    (one,) = found.sums
    interaction = effect(found, join="lape", norm="dtn")
    assert one.difference == interaction.gain
    assert one.observed - one.predicted == pytest.approx(one.difference.mean)


@pytest.mark.parametrize(
    ("extra", "scale", "word"),
    [
        (0.0, 0.01, "adds up"),
        (0.2, 0.001, "adds up"),  # significant, and within the margin
        (-2.0, 0.1, "less than the sum"),
        (2.0, 0.1, "more than the sum"),
        (0.3, 2.0, "can't tell"),
    ],
)
def test_the_words_of_sums(extra: float, scale: float, word: str) -> None:
    accuracy = noisy(scale=scale)
    cells = [cell for cell in CELLS if cell[2] == "default"]
    listed = rows(lambda cell, seed: accuracy(cell, seed) + extra * (cell[:2] == ("lape", "dtn")), 5, cells)
    (one,) = only(frame_of(listed)).sums
    assert one.word == word
    assert (one.margin, one.alpha) == (0.5, 0.05)
    (wide,) = only(frame_of(listed), margin=50).sums
    assert wide.word == "adds up"


def test_the_words_of_effects() -> None:
    accuracy = noisy(scale=0.05)
    gains = {"lape": 2.0, "dtn": -2.0}
    found = only(frame_of(rows(lambda cell, seed: accuracy(cell, seed) + sum(gains.get(one, 0) for one in cell))))
    words = {tuple(one.levels.values()): one.word for one in found.effects}
    assert words.pop(("lape",)) == "positive"
    assert words.pop(("dtn",)) == "negative"
    assert set(words.values()) == {"can't tell"}


@pytest.mark.parametrize("seeds", [1, 3])
def test_too_few_seeds_test_nothing(seeds: int) -> None:
    """One seed has no spread; three equal ones reach no smaller p than 2 / 2³."""
    found = only(frame_of(rows(lambda cell, seed: 50 + len(set(cell)), seeds)))
    assert {one.word for one in (*found.effects, *found.sums)} == {"not tested"}
    assert all(math.isnan(one.p_adjusted) for one in found.effects)


def test_a_missing_cell_is_named_and_nothing_is_imputed() -> None:
    cells = [cell for cell in CELLS if cell != ("lape", "dtn", "default")]
    found = only(frame_of(rows(noisy(), cells=cells)))
    assert found.missing == [("lape", "dtn", "default")]
    for one in found.effects:  # each takes all cells
        assert one.missing == (("lape", "dtn", "default"),)
        assert (one.gain.n, one.word, one.pooled) == (0, "not tested", None)
    lacking = {tuple(one.levels.values()) for one in found.sums if one.missing}
    assert lacking == {("lape", "dtn")}
    assert all(one.difference.n == 4 for one in found.sums if not one.missing)


def test_a_failed_cell_is_missing_too() -> None:
    cells = [cell for cell in CELLS if cell[2] == "default"]
    listed = rows(noisy(), cells=cells[:-1])
    listed += [run(seed, status="diverged", join="lape", norm="dtn") for seed in range(4)]
    found = only(frame_of(listed))
    assert found.missing == [("lape", "dtn")]
    assert len(found.effects) == 3


def test_a_failed_seed_takes_its_contrasts_away() -> None:
    listed = [row for row in rows(noisy()) if (row["join"], row["norm"], row["seed_index"]) != ("lape", "dtn", 2)]
    listed.append(run(2, status="diverged", join="lape", norm="dtn", loss="default"))
    found = only(frame_of(listed))
    assert found.incomplete == {2: [("lape", "dtn", "default"), ("lape", "dtn", "diversepatch")]}
    assert {one.seeds for one in found.effects} == {(0, 1, 3)}
    by_levels = {tuple(one.levels.values()): one.seeds for one in found.sums}
    assert by_levels["lape", "diversepatch"] == (0, 1, 2, 3)
    assert by_levels["lape", "dtn"] == (0, 1, 3)


def test_levels_that_are_never_combined_are_no_part() -> None:
    cells: list[Cell] = [("default", norm, "default") for norm in ("ln", "dtn", "bn")]
    assert factorials(frame_of(rows(lambda cell, seed: 50.0 + seed, cells=cells))) == []
    star: list[Cell] = [*cells, ("lape", "ln", "default")]
    assert factorials(frame_of(rows(lambda cell, seed: 50.0 + seed, cells=star))) == []
    found = only(frame_of(rows(lambda cell, seed: 50.0 + seed, cells=[*star, ("lape", "dtn", "default")])))
    assert found.axes == {"join": ("default", "lape"), "norm": ("ln", "dtn")}
    assert found.missing == []


def test_more_than_two_levels() -> None:
    cells: list[Cell] = [
        (join, norm, "default") for join in ("default", "shared", "lape") for norm in ("bn", "ln", "dtn")
    ]
    gains = {"shared": 1.0, "lape": 2.0, "dtn": 4.0, "bn": -8.0}

    def accuracy(cell: Cell, seed: int) -> float:
        return 50 + seed + sum(gains.get(level, 0.0) for level in cell) + 3.0 * (cell[:2] == ("lape", "dtn"))

    found = only(frame_of(rows(accuracy, cells=cells)))
    assert found.axes == {"join": ("default", "shared", "lape"), "norm": ("ln", "dtn", "bn")}
    means = {tuple(one.levels.values()): one.gain.mean for one in found.effects}
    assert means == pytest.approx(
        {("shared",): 1, ("lape",): 3, ("dtn",): 5, ("bn",): -8, ("shared", "dtn"): 0, ("shared", "bn"): 0,
         ("lape", "dtn"): 3, ("lape", "bn"): 0}
    )  # fmt: skip
    assert {tuple(one.levels.values()): round(one.difference.mean, 9) for one in found.sums} == {
        ("shared", "dtn"): 0, ("shared", "bn"): 0, ("lape", "dtn"): 3, ("lape", "bn"): 0,
    }  # fmt: skip


def test_factorials_stand_in_the_order_of_tables_and_apart() -> None:
    frame = frame_of(rows(noisy(1), pe="sin1d") + rows(noisy(2)) + rows(noisy(3), arch="cct_digits"))
    found = factorials(frame)
    assert len({(one.cell["arch"], one.cell["pe"]) for one in found}) == 3
    assert [one.cell["pe"] for one in found if one.cell["arch"] == "vit_lite_digits"] == ["learnable", "sin1d"]
    assert set(found[0].cell) == {"dataset", "arch", "pe", "recipe", "recipe_id"}


def test_without_noise_there_is_no_blocked_model() -> None:
    values: Mapping[Cell, Mapping[int, float]] = {("a",): {0: 1.0, 1: 2.0}, ("b",): {0: 2.0, 1: 3.0}}
    assert blocked_model(values) is None
    assert blocked_model({("a",): {0: 1.0}, ("b",): {0: 2.0}}) is None
    assert blocked_model({("a",): {0: 1.0, 1: 2.0}, ("b",): {0: 2.0, 1: 5.0}}) is not None


def test_an_unbalanced_blocked_model_uses_the_seeds_that_contrasts_leave_out() -> None:
    listed = [row for row in rows(noisy(), 6) if (row["join"], row["seed_index"]) != ("lape", 5)]
    found = only(frame_of(listed))
    one = effect(found, norm="dtn")
    assert one.seeds == (0, 1, 2, 3, 4)
    assert one.pooled is not None
    assert one.pooled.estimate != pytest.approx(one.gain.mean, abs=1e-6)
