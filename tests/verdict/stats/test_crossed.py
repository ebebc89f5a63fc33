from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import ndtr
from scipy.stats import chi2, norm
from scipy.stats import t as student
from statsmodels.formula.api import ols
from statsmodels.stats.anova import anova_lm

from suite.verdict.stats.crossed import crossed_interval
from suite.verdict.stats.gains import paired_gain
from suite.verdict.stats.images import Differences
from suite.verdict.stats.sequential import critical_t


def differences(pairs: int, images: int, seed: int = 0) -> Differences:
    """Differences of simulated runs whose gains vary by seed and by image."""
    rng = np.random.default_rng(seed)
    plain = rng.normal(0.5, 1, images)
    helped = plain + 0.2 + rng.normal(0, 0.5, images)
    seeds = rng.normal(0, 0.2, (pairs, 1))
    right = [rng.random((pairs, images)) < ndtr(one) for one in (plain, helped + seeds)]
    return right[1].astype(np.int8) - right[0].astype(np.int8)


@settings(deadline=None, max_examples=10)
@given(st.integers(2, 6), st.integers(3, 25), st.integers(0, 1000))
def test_its_mean_squares_are_those_of_statsmodels(pairs: int, images: int, seed: int) -> None:
    found = crossed_interval(one := differences(pairs, images, seed))
    rows, columns = np.indices(one.shape)
    table = pd.DataFrame({"y": 100.0 * one.ravel(), "pair": rows.ravel(), "image": columns.ravel()})
    anova = anova_lm(ols("y ~ C(pair) + C(image)", table).fit())
    squares = anova["sum_sq"] / anova["df"]
    images_part = max(0.0, squares["C(image)"] - squares["Residual"]) / (pairs * images)
    assert found.se_images == pytest.approx(math.sqrt(images_part), abs=1e-5)
    assert found.floor == pytest.approx(math.sqrt(squares["Residual"] / images), abs=1e-5)
    assert found.sd == pytest.approx(math.sqrt(squares["C(pair)"] / images), abs=1e-5)


def test_its_ends_are_those_of_the_formula() -> None:
    found = crossed_interval(one := differences(5, 400))
    gains = 100 * one.mean(axis=1)
    error = gains.std(ddof=1) / math.sqrt(5)
    half = math.sqrt((student.ppf(0.975, 4) * error) ** 2 + (norm.ppf(0.975) * found.se_images) ** 2)
    assert (found.mean, found.sd) == pytest.approx((gains.mean(), gains.std(ddof=1)))
    assert (found.low, found.high) == pytest.approx((gains.mean() - half, gains.mean() + half))
    assert found.p_below_floor == pytest.approx(chi2.cdf(4 * (found.sd / found.floor) ** 2, 4))
    narrow, looked = crossed_interval(one, 0.8), crossed_interval(one, t_quantile=critical_t(5, 20, 0.025))
    assert looked.low < found.low < narrow.low < narrow.high < found.high < looked.high


@given(st.integers(2, 8), st.integers(2, 300), st.integers(0, 1000))
def test_it_is_never_narrower_than_the_t_interval(pairs: int, images: int, seed: int) -> None:
    found = crossed_interval(one := differences(pairs, images, seed))
    t = paired_gain(100 * one.mean(axis=1))
    assert found.low <= t.low + 1e-9
    assert found.high >= t.high - 1e-9
    turned = crossed_interval(-one)
    assert (turned.low, turned.high) == pytest.approx((-found.high, -found.low))


def test_the_order_of_pairs_and_images_does_not_matter() -> None:
    one, rng = differences(4, 60), np.random.default_rng(0)
    shuffled = crossed_interval(one[rng.permutation(4)][:, rng.permutation(60)])
    assert shuffled.low == pytest.approx(crossed_interval(one).low)


def test_copies_of_a_pair_lie_far_below_the_floor() -> None:
    # The answers of each run vary, but all runs agree: nothing but images is left.
    one = differences(1, 2000).repeat(5, axis=0)
    found = crossed_interval(one)
    assert found.sd == found.floor == 0.0
    assert math.isnan(found.p_below_floor)
    assert found.high - found.low == pytest.approx(2 * 1.96 * 100 * one.std(ddof=0) / math.sqrt(2000), rel=0.01)
    # Runs that agree on their number of right answers by more than separate runs would.
    alike = np.array([np.random.default_rng(k).permutation([1] * 300 + [-1] * 200 + [0] * 1500) for k in range(6)])
    found = crossed_interval(alike.astype(np.int8))
    assert found.sd == 0.0 < found.floor
    assert found.p_below_floor < 1e-6


def test_without_two_pairs_there_is_no_interval() -> None:
    found = crossed_interval(differences(1, 50))
    assert math.isnan(found.low)
    assert math.isnan(found.floor)
    assert crossed_interval(np.ones((3, 1), dtype=np.int8)).mean == 100.0
    with pytest.raises(ValueError, match="one pair and one image"):
        crossed_interval(np.empty((0, 5), dtype=np.int8))


@pytest.mark.parametrize(("pairs", "image_sd", "seed_sd"), [(3, 1.0, 0.05), (10, 1.0, 0.05), (5, 0.2, 0.5), (5, 0, 0)])
def test_it_holds_the_gain_over_all_images(pairs: int, image_sd: float, seed_sd: float) -> None:
    rng, images, draws, held = np.random.default_rng(9), 500, 400, 0
    truth = 100 * float(ndtr(0.6 / math.sqrt(2 + image_sd**2 + seed_sd**2)) - ndtr(0.5 / math.sqrt(2)))
    for _ in range(draws):
        plain = 0.5 + rng.standard_normal(images)
        helped = plain + 0.1 + rng.normal(0, image_sd, images) + rng.normal(0, seed_sd, (pairs, 1))
        right = [rng.random((pairs, images)) < ndtr(latent) for latent in (plain, helped)]
        found = crossed_interval(right[1].astype(np.int8) - right[0].astype(np.int8))
        held += found.low <= truth <= found.high
    assert 0.91 <= held / draws <= 0.985
