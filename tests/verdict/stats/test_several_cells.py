from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import combine_pvalues, norm, ttest_1samp
from scipy.stats import t as student
from statsmodels.regression.mixed_linear_model import MixedLM

from suite.store.frames import load_frame
from suite.verdict.stats.gains import holm
from suite.verdict.stats.published import prediction_interval
from suite.verdict.stats.several_cells import cells_that_gain, partial_conjunction, several_cells
from tests.conftest import REPOSITORY

p_lists = st.lists(st.floats(0, 1), min_size=1, max_size=12)


@pytest.fixture(scope="module")
def table_2() -> list[tuple[str, float, float]]:
    """Architecture, mean gain and one-sided p-value of each cell of the committed runs."""
    runs = load_frame(REPOSITORY / "results" / "table2_budget")
    by_join = runs.pivot_table(index=["arch", "dataset", "seed_index"], columns="join", values="top1")
    gains = (by_join["lape"] - by_join["default"]).groupby(["arch", "dataset"])
    return [(arch, one.mean(), float(ttest_1samp(one, 0, alternative="greater").pvalue)) for (arch, _), one in gains]


def test_a_paper_table_has_one_answer(table_2: list[tuple[str, float, float]]) -> None:
    found = several_cells([gain for _, gain, _ in table_2])
    assert (found.cells, found.clusters) == (6, 6)
    assert (found.mean, found.low, found.high) == pytest.approx((2.02, 0.85, 3.18), abs=0.005)
    assert found.p_greater == pytest.approx(0.003, abs=0.0005)
    assert (found.next_low, found.next_high) == pytest.approx((-1.1, 5.1), abs=0.05)


def test_a_paper_table_by_architectures(table_2: list[tuple[str, float, float]]) -> None:
    found = several_cells([gain for _, gain, _ in table_2], [arch for arch, *_ in table_2])
    assert (found.cells, found.clusters) == (6, 3)
    by_arch = [
        np.mean([gain for other, gain, _ in table_2 if other == arch]) for arch in {arch for arch, *_ in table_2}
    ]
    expected = ttest_1samp(by_arch, 0, alternative="greater")
    assert found.p_greater == pytest.approx(expected.pvalue)
    assert found.mean == pytest.approx(np.mean(by_arch))
    assert found.next_low < found.low < found.high < found.next_high


def test_how_many_cells_of_the_paper_table_gain(table_2: list[tuple[str, float, float]]) -> None:
    p_values = [p for *_, p in table_2]
    assert cells_that_gain(p_values) == sum(p < 0.05 for p in holm(p_values))
    assert cells_that_gain(p_values, combination="fisher") >= cells_that_gain(p_values)


@given(st.lists(st.integers(-300, 300).map(lambda gain: gain / 100), min_size=2, max_size=10), st.floats(0.5, 0.99))
def test_without_clusters_it_is_a_t_test_and_a_prediction_interval(gains: list[float], level: float) -> None:
    found = several_cells(gains, level=level)
    expected = prediction_interval(gains, level)
    assert (found.next_low, found.next_high) == pytest.approx((expected.low, expected.high))
    if np.std(gains) > 1e-6:
        assert found.p_less == pytest.approx(ttest_1samp(gains, 0, alternative="less").pvalue, abs=1e-12)
        assert (found.low, found.high) == pytest.approx(ttest_1samp(gains, 0).confidence_interval(level))
        assert several_cells(gains, list(range(len(gains))), level) == found


def test_the_sd_of_a_cell_is_that_of_a_mixed_model() -> None:
    # Of a balanced table, restricted maximum likelihood gives the same variance components.
    rng = np.random.default_rng(0)
    clusters = np.repeat(np.arange(12), 3)
    gains = 1.0 + rng.normal(0, 0.8, 12)[clusters] + rng.normal(0, 0.5, 36)
    fit = MixedLM(gains, np.ones((36, 1)), clusters).fit(reml=True)
    expected = math.sqrt(float(np.asarray(fit.cov_re).item()) + float(fit.scale))
    found = several_cells(gains, clusters.tolist())
    assert found.sd == pytest.approx(expected, rel=1e-3)
    half = student.ppf(0.975, 11) * math.sqrt(expected**2 + np.var(gains.reshape(12, 3).mean(1), ddof=1) / 12)
    assert found.next_high - found.mean == pytest.approx(half, rel=1e-3)


def test_a_single_cell_and_a_single_cluster_say_nothing_of_others() -> None:
    for found in (several_cells([1.5]), several_cells([1.0, 2.0], ["a", "a"])):
        assert (found.mean, found.p_greater, found.p_less) == (1.5, 1.0, 1.0)
        assert all(math.isnan(one) for one in (found.low, found.high, found.next_low, found.next_high))
    with pytest.raises(ValueError, match="at least one cell"):
        several_cells([])
    with pytest.raises(ValueError, match="zip"):
        several_cells([1.0, 2.0], ["a"])
    with pytest.raises(ValueError, match="finite"):
        several_cells([1.0, math.nan])


def test_intervals_hold_the_mean_and_the_next_cell() -> None:
    rng, tables = np.random.default_rng(7), 3000
    for clustered in (False, True):
        architectures = np.repeat(np.arange(4), 2)
        held = following = 0
        for _ in range(tables):
            shared = rng.normal(0, 0.7 if clustered else 0, 5)
            gains = 1.0 + shared[architectures] + rng.normal(0, 0.5, 8)
            found = several_cells(gains.tolist(), architectures.tolist() if clustered else None)
            held += found.low <= 1.0 <= found.high
            following += found.next_low <= 1.0 + shared[4] + rng.normal(0, 0.5) <= found.next_high
        assert 0.935 <= held / tables <= 0.965
        assert 0.935 <= following / tables <= 0.98  # the degrees of freedom of the clusters alone are too few


@given(p_lists)
def test_partial_conjunctions_by_their_definition(p_values: list[float]) -> None:
    found = partial_conjunction(p_values)
    ordered = sorted(p_values)
    for u, p in enumerate(found, start=1):
        assert p == max(min(1.0, (len(ordered) - v + 1) * ordered[v - 1]) for v in range(1, u + 1))
    assert found == pytest.approx(sorted(holm(p_values)))  # the step-down test counts the same cells
    assert cells_that_gain(p_values, 0.1) == sum(p <= 0.1 for p in holm(p_values))


@given(st.lists(st.floats(1e-6, 1), min_size=1, max_size=8))
def test_fishers_combination_is_scipys(p_values: list[float]) -> None:
    found = partial_conjunction(p_values, "fisher")
    ordered = sorted(p_values)
    alone = [combine_pvalues(ordered[u:], method="fisher").pvalue for u in range(len(ordered))]
    assert found == pytest.approx(np.maximum.accumulate(alone), rel=1e-6, abs=1e-12)


def test_more_cells_are_rarely_counted_than_gain() -> None:
    rng, tables = np.random.default_rng(3), 4000
    for combination in ("bonferroni", "fisher"):
        wrong = 0
        for z in rng.normal([3.0, 3.0, 3.0, 0.0, 0.0, 0.0], 1.0, (tables, 6)):
            wrong += cells_that_gain(norm.sf(z).tolist(), 0.05, combination) > 3  # type: ignore[arg-type]
        assert wrong / tables <= 0.05 + 3 * math.sqrt(0.05 / tables)


def test_p_values_that_there_are_not() -> None:
    assert partial_conjunction([]) == ()
    assert cells_that_gain([0.0, 0.0, 1.0], combination="fisher") == 2
    for p in (-0.1, 1.1, math.nan):
        with pytest.raises(ValueError, match="between 0 and 1"):
            partial_conjunction([0.5, p])
