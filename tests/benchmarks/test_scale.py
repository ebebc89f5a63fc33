"""Many trials leave few files, and all of them a record."""

from __future__ import annotations

import pytest

from benchmarks import scale
from suite.run.driver import FOLD_EVERY

TRIALS = 600


@pytest.mark.ray
@pytest.mark.slow
def test_files_do_not_grow_with_the_trials() -> None:
    found = scale.measure(TRIALS)  # raises if a trial has no record
    assert found["files"] <= FOLD_EVERY + 50 < TRIALS
    assert found["temporary"] < TRIALS / 2
    assert found["asked"] > 1
