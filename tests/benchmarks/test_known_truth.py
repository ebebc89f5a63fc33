"""Verdicts on runs of known truth: the benchmark counts right, and the committed figures keep their bounds."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks import doubtful_gains, until_decided
from benchmarks.documents import filled, read_figures
from benchmarks.known_runs import claims, frame, judged
from benchmarks.known_truth import CLAIMS, FIGURES, PARTS, Family, families, rows, simulate, tables
from benchmarks.verdicts import DOCUMENT, Figures
from suite.verdict.verdicts import judge


@pytest.fixture(scope="module")
def figures() -> Figures:
    """The committed figures."""
    return read_figures(FIGURES)


def test_a_word_of_a_family_once_earned_is_kept_and_counts_its_ten_claims() -> None:
    """Ten claims whose gains change sign from seed to seed, one of them 3 points higher: it alone is seen, and kept."""
    gains = np.resize([-1.0, 1.0], (10, 20)) + np.linspace(0, 0.1, 200).reshape(10, 20)
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
        "benchmarks.known_truth.FAMILIES",
        (Family("a gain of 5 sd", 5.0, 1.0, ("direction_only",)), Family("none", 0.0, 1.0, ())),
    )
    found, nothing = families(20)
    assert (found["families"], found["any"], nothing["any"]) == (2, 1.0, 0.0)
    assert 0.5 < found["each"] <= 1.0


def test_claims_that_are_judged_a_few_at_a_time_have_the_same_words(monkeypatch: pytest.MonkeyPatch) -> None:
    gains = np.linspace(-1, 2, 24).reshape(6, 4) + np.tile([0.0, 0.3, -0.3, 0.1], (6, 1))
    monkeypatch.setattr("benchmarks.known_runs.BATCH", 2)
    words = [verdict.sentence for verdict in judged(gains, claims(6, 2))]
    assert words == [verdict.sentence for verdict in judge(frame(gains), claims(6, 2))]


def test_copies_are_refused_and_runs_that_share_their_answers_are_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doubtful_gains, "COPIES", (2, 5))
    found = list(doubtful_gains.copies(1))
    assert [row["refused"] for row in found] == [1.0, 0.0, 1.0, 0.0]


def test_a_gain_that_is_wrongly_seen_counts_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """A far pair at the end takes no word back, and its caveat is told of those that were seen with it."""
    gains = np.array([[2.0, 2.1, 1.9, 2.0, 2.1], [1.0, -1.0, 1.1, -1.1, 0.1]])
    monkeypatch.setattr(doubtful_gains, "LARGEST", 5)
    monkeypatch.setattr(doubtful_gains, "SINGLE", (5,))
    monkeypatch.setattr(doubtful_gains, "NO_GAIN", {"given": lambda rng, shape: gains})
    once, sequential = doubtful_gains.skewed(2)
    assert (once["found"], once["wrong"], once["told"]) == (0.5, 1, 0)
    assert (sequential["found"], sequential["wrong"], sequential["told"]) == (0.5, 1, 0)


@pytest.mark.slow
def test_a_run_until_decided_spends_less_for_large_gains(monkeypatch: pytest.MonkeyPatch) -> None:
    """Gains of 5 standard deviations are all decided by 6 pairs each; without any, all pairs are spent."""
    monkeypatch.setattr(until_decided, "MIXES", {"large": np.full(10, 5.0)})
    found = {(row["budget"], row["rule"]): row for row in until_decided.greedy(1)}
    assert found[20, until_decided.GREEDY]["decided"] == 10
    assert found[20, until_decided.GREEDY]["pairs"] < 6
    assert found[20, until_decided.ONE_LOOK]["pairs"] == 20


def test_the_committed_figures_keep_their_bounds(figures: Figures) -> None:
    assert figures["claims"] == CLAIMS
    assert [str(row) for row in rows(figures) if not row.kept] == []


def test_the_document_has_the_committed_figures(figures: Figures) -> None:
    document = DOCUMENT.read_text(encoding="utf-8")
    assert filled(document, tables(figures)) == document, "run: python -m benchmarks.known_truth"
    assert all(document.count(f"<!-- {name} -->") == 1 for name in tables(figures))


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("part", PARTS)
def test_the_committed_figures_are_those_of_this_code(part: str, figures: Figures) -> None:
    for row, committed in zip(simulate([part], figures["claims"])[part], figures[part], strict=True):
        # On another processor a number next to a bound may fall on its other side.
        assert row == pytest.approx(committed, abs=0.2 if part == "greedy" else 0.01)
