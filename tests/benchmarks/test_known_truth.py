"""Verdicts on runs of known truth: what the benchmark counts, at small size."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.known_truth import claims, families, frame
from suite.verdict.verdicts import judge


def test_a_word_of_a_family_once_earned_is_kept_and_counts_its_ten_claims() -> None:
    """Ten claims, one with a gain of 3 standard deviations: it is seen at some look, and at all later ones."""
    gains = np.random.default_rng(0).normal(0, 1, (10, 20))
    gains[0] += 3
    seen = [judge(frame(gains[:, :pairs]), claims(10, 10)) for pairs in (3, 6, 10, 20)]
    words = [[verdict.word in ("confirmed", "direction_only") for verdict in verdicts] for verdicts in seen]
    assert [word[0] for word in words] == sorted(word[0] for word in words)
    assert words[-1] == [True] + [False] * 9
    assert seen[-1][0].evidence is not None
    assert seen[-1][0].evidence.level == pytest.approx(0.005)


def test_a_small_simulation_counts_wrong_words(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("benchmarks.known_truth.LARGEST", 5)
    monkeypatch.setattr(
        "benchmarks.known_truth.FAMILIES", {"a gain of 5 sd": (5.0, 1.0, ("direction_only",)), "none": (0.0, 1.0, ())}
    )
    found, nothing = families(20)
    assert (found["families"], found["any"], nothing["any"]) == (2, 1.0, 0.0)
    assert 0.5 < found["each"] <= 1.0
