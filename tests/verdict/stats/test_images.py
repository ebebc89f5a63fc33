from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest
from statsmodels.stats.contingency_tables import mcnemar

from suite.verdict import stats


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 60), st.integers(0, 60)), min_size=1, max_size=5))
def test_mcnemar_is_the_exact_binomial_test(counts: list[tuple[int, int]]) -> None:
    found = stats.mcnemar(*zip(*counts, strict=True))
    for p, (gained, lost) in zip(found, counts, strict=True):
        expected = binomtest(gained, gained + lost).pvalue if gained + lost else 1.0
        assert p == pytest.approx(expected)
        assert p == pytest.approx(mcnemar([[5, gained], [lost, 5]], exact=True).pvalue)
