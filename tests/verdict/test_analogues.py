from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from suite.verdict.sentences import ANALOGUE_WORDS
from suite.verdict.verdicts import Verdict, judge
from tests.frames import frame_of, paired_rows
from tests.verdict.test_verdicts import CASES, claim

WORDS = {
    "confirmed": "gain_here",
    "direction_only": "gain_here",
    "contradicted": "no_gain_here",
    "inconclusive": "open",
    "not_tested": "not_tested",
}


def judged(gains: list[float], **values: object) -> Verdict:
    asked = claim(kind="analogue", published_for="ViT-Lite-7/4 on CIFAR-10", **values)
    (verdict,) = judge(frame_of(paired_rows(gains)), [asked])
    return verdict


@pytest.mark.parametrize("rule", [{}, {"max_pairs": 20}])
def test_an_analogue_has_words_of_its_own(rule: dict[str, int]) -> None:
    for published, word in WORDS.items():
        gains = CASES[published] * (2 if published in ("direction_only", "contradicted", "confirmed") else 1)
        verdict = judged(gains, **rule)
        assert verdict.word == word
        assert f": {word.replace('_', ' ')}" in verdict.sentence
    assert judged([-0.5, -0.7, -0.6, -0.4, -0.55], **rule).word == "opposite_here"


def test_the_sentences_say_what_happened_here() -> None:
    assert ": gain here (an analogue: the paper's gain is for" in judged(CASES["confirmed"]).sentence
    assert (
        ": gain here; smaller than claimed: one of +0.42 or more is ruled out ("
        in judged(CASES["direction_only"]).sentence
    )
    assert (
        ": no gain here; none is significant, and one of +0.42 or more is ruled out ("
        in judged(CASES["contradicted"]).sentence
    )
    assert ": open; 5 pairs could have shown a gain of" in judged(CASES["inconclusive"]).sentence
    assert ": opposite here; it is a significant loss (" in judged([-0.5, -0.7, -0.6, -0.4, -0.55]).sentence
    assert ": open so far; up to 15 further pairs" in judged(CASES["inconclusive"], max_pairs=20).sentence


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(-300, 300).map(lambda images: images / 100), max_size=6))
def test_an_analogue_is_never_confirmed_or_contradicted(gains: list[float]) -> None:
    rows = paired_rows(gains, base=80, correct=None)
    (verdict,) = judge(frame_of(rows), [claim(kind="analogue", published_for="CIFAR-10")])
    assert verdict.word in ANALOGUE_WORDS
