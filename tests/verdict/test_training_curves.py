"""The last tenth of training: in curves, in verdicts on cells that aren't converged, and in their JSON."""

from __future__ import annotations

import json
import math
from typing import Any

import pandas as pd
import pytest

from suite.verdict.training_curves import last_tenth
from suite.verdict.verdicts import Verdict, judge, to_json
from tests.frames import frame_of, history_of, paired_rows
from tests.verdict.test_verdicts import CASES, claim

FRAME = frame_of(paired_rows(CASES["confirmed"]))


def curves(baseline: float, treatment: float, tested: tuple[int, ...] = tuple(range(1, 21))) -> pd.DataFrame:
    """Twenty epochs of each run, whose accuracy rises by so many points from 18 to 20 epochs."""
    history = history_of(FRAME, epochs=20)
    for join, moved in (("default", baseline), ("lape", treatment)):
        for trial, top1 in FRAME.loc[FRAME["join"] == join, ["trial_id", "top1"]].itertuples(index=False):
            own = history["trial_id"] == trial
            history.loc[own, "top1"] = [top1 - moved * (20 - epoch) / 2 for epoch in history.loc[own, "epoch"] + 1]
    return history.assign(top1=history["top1"].where((history["epoch"] + 1).isin(tested)))


def judged(history: pd.DataFrame | None, **values: Any) -> Verdict:
    (found,) = judge(FRAME, [claim(**values)], history=history)
    return found


def test_the_last_tenth_is_from_the_last_test_before_it() -> None:
    assert last_tenth([(5, 90.0), (9, 92.0), (10, 93.5)]) == 1.5
    assert last_tenth([(5, 90.0), (10, 93.5)]) == 3.5
    assert math.isnan(last_tenth([(10, 93.5)]))
    assert math.isnan(last_tenth([]))


@pytest.mark.parametrize(
    ("moved", "told"),
    [
        ((0.1, 0.5), ""),
        ((0.6, 0.2), "the accuracy of default by +0.60 points; after"),
        ((0.0, -0.7), "the accuracy of lape by −0.70 points; after"),
        ((0.8, 1.2), "the accuracy of default by +0.80 points and of lape by +1.20 points; after"),
    ],
)
def test_a_verdict_says_that_its_cells_are_not_converged(moved: tuple[float, float], told: str) -> None:
    found, without = judged(curves(*moved)), judged(None)
    said = [caveat for caveat in found.caveats if caveat.startswith("not converged")]
    assert (told in said[0] and len(said) == 1) if told else not said
    assert found.word == without.word == "confirmed"
    assert [caveat for caveat in found.caveats if caveat not in said] == list(without.caveats)
    (values,) = json.loads(to_json([found]))
    shown = [values["evidence"][f"{side}_last_tenth"] for side in ("baseline", "treatment")]
    assert shown == pytest.approx(list(moved), abs=1e-9)


def test_without_a_test_before_the_last_tenth_nothing_is_said() -> None:
    for history in (None, curves(5.0, 5.0, tested=(20,))):
        found = judged(history)
        assert "not converged" not in "\n".join(found.caveats)
        (values,) = json.loads(to_json([found]))
        assert values["evidence"]["baseline_last_tenth"] is None


def test_of_a_claim_at_an_epoch_training_ends_there() -> None:
    # By 4.0 points in 18 to 20 epochs, so by 2.0 in 9 to 10.
    found = judged(curves(4.0, 0.0), epoch=10)
    assert "the accuracy of default by +2.00 points; after" in "\n".join(found.caveats)
