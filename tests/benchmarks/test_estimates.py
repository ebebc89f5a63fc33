"""The interval of an estimate holds as often as it says, or more often."""

from __future__ import annotations

import pytest

from benchmarks.estimates import NOISES, Noise, simulate


@pytest.mark.parametrize("noise", NOISES, ids=[noise.name for noise in NOISES])
@pytest.mark.parametrize(("kinds", "measured"), [(1, 2), (1, 3), (4, 3)])
def test_coverage(noise: Noise, kinds: int, measured: int) -> None:
    """95 % are meant; 150 repeats can't tell 90 % from 95 %, but tell 85 % from it."""
    assert simulate(noise, kinds, measured, trials=8, repeats=150).held >= 0.88


def test_more_measurements_make_it_narrower() -> None:
    few, many = (simulate(NOISES[1], 2, measured, trials=8, repeats=60).width for measured in (2, 8))
    assert many < few / 2
