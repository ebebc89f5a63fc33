from __future__ import annotations

import math

import numpy as np
import pytest
from statsmodels.regression.linear_model import OLS

from suite.verdict import stats


def test_one_more_run_falls_where_a_regression_on_a_constant_says() -> None:
    values = [93.1, 93.6, 92.9, 93.3]
    expected = OLS(values, np.ones(4)).fit().get_prediction([1.0]).summary_frame(alpha=0.1)
    found = stats.prediction_interval(values, level=0.9)
    assert (found.low, found.high) == pytest.approx(
        (expected["obs_ci_lower"].iloc[0], expected["obs_ci_upper"].iloc[0])
    )
    assert (found.n, found.published_runs, found.mean) == (4, 1, pytest.approx(93.225))


@pytest.mark.parametrize(("n", "published"), [(3, 1), (5, 5), (10, 3)])
def test_published_means_of_such_runs_fall_inside_as_often_as_it_says(n: int, published: int) -> None:
    rng = np.random.default_rng(5)
    ours, theirs = rng.normal(93, 0.3, (4000, n)), rng.normal(93, 0.3, (4000, published)).mean(axis=1)
    inside = [
        stats.prediction_interval(one, published_runs=published).judge(value) == "consistent"
        for one, value in zip(ours, theirs, strict=True)
    ]
    assert np.mean(inside) == pytest.approx(0.95, abs=3 * math.sqrt(0.05 * 0.95 / 4000))


def test_what_a_published_value_is_told() -> None:
    found = stats.prediction_interval([93.1, 93.6, 92.9, 93.3], published_runs=5)
    assert found.judge(93.5) == "consistent"
    assert found.judge(95.0) == "not_consistent"
    assert found.judge(found.high + 0.004) == "not_consistent"
    assert found.judge(found.high + 0.004, rounding=0.005) == "consistent"


def test_too_few_or_equal_runs_cant_say() -> None:
    for values in ([], [93.0]):
        found = stats.prediction_interval(values)
        assert found.judge(93.0) == "cant_say"
        assert math.isnan(found.low)
    equal = stats.prediction_interval([93.6 - 0.3, 93.3])
    assert equal.low == equal.high == pytest.approx(93.3)
    assert equal.judge(93.31) == "cant_say"
    assert equal.judge(93.3, rounding=0.05) == "consistent"


def test_what_can_be_no_published_value() -> None:
    with pytest.raises(ValueError, match="finite"):
        stats.prediction_interval([93.0, 94.0]).judge(math.nan)
    with pytest.raises(ValueError, match="finite"):
        stats.prediction_interval([93.0, math.nan])
    with pytest.raises(ValueError, match="published run"):
        stats.prediction_interval([93.0, 94.0], published_runs=0)
    with pytest.raises(ValueError, match="level"):
        stats.prediction_interval([93.0, 94.0], level=1.0)
