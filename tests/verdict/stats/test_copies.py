from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from suite.verdict.stats.copies import Copies, RunTrace, equal_pairs, find_copies

FIRST = RunTrace("abc", (1.5, 0.7, 0.3))


def test_the_same_answers_and_losses_are_a_copy() -> None:
    found = find_copies({0: FIRST, 3: RunTrace("abd", (1.4, 0.6, 0.2)), 4: FIRST, 7: FIRST})
    assert found == Copies({4: 0, 7: 0}, {})


def test_the_same_answers_alone_are_told_apart() -> None:
    other, unknown = RunTrace("abc", (1.5, 0.7, 0.4)), RunTrace("abc", None)
    assert find_copies({0: FIRST, 1: other, 2: unknown}) == Copies({}, {1: 0, 2: 0})
    assert find_copies({0: unknown, 1: unknown}) == Copies({}, {1: 0})


def test_runs_that_are_always_right_share_their_answers_honestly() -> None:
    perfect = [RunTrace("~~~", (1.0 + number,), perfect=True) for number in range(3)]
    assert find_copies(dict(enumerate(perfect))) == Copies({}, {})
    assert find_copies({0: perfect[0], 1: perfect[0]}).copied == {1: 0}


def test_losses_prove_a_copy_where_answers_were_not_kept() -> None:
    bare = RunTrace(None, FIRST.losses)
    assert find_copies({0: FIRST, 1: bare}).copied == {1: 0}
    assert find_copies({0: bare, 1: bare}).copied == {1: 0}
    assert find_copies({0: FIRST, 1: RunTrace("xyz", FIRST.losses)}) == Copies({}, {})
    nothing = RunTrace(None, ())
    assert find_copies({0: nothing, 1: nothing}) == Copies({}, {})


@given(st.lists(st.tuples(st.sampled_from("ab"), st.sampled_from([1.0, 2.0])), max_size=8))
def test_every_copy_is_of_an_earlier_run_and_none_is_missed(runs: list[tuple[str, float]]) -> None:
    traces = {number: RunTrace(answers, (loss,)) for number, (answers, loss) in enumerate(runs)}
    found = find_copies(traces)
    assert len(traces) - len(found.copied) == len(set(runs))
    for number, first in found.copied.items():
        assert first == runs.index(runs[number]) < number
    assert not set(found.copied) & set(found.same_answers)


def test_equal_pairs() -> None:
    assert equal_pairs([90.0, 91.0, 90.0, 90.0], [92.0, 92.0, 92.0, 93.0]) == ((0, 2),)
    assert equal_pairs(["a", "b"], ["c", "c"]) == ()
    assert equal_pairs([1] * 5, [2] * 5) == ((0, 1, 2, 3, 4),)
