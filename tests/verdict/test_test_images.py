from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from suite.errors import InputError
from suite.store.record import pack_bits
from suite.verdict.comparisons import Comparison, comparisons
from suite.verdict.test_images import check_accuracies, check_test_images, copies, differences, lacking
from tests.frames import frame_of, paired_rows, run


def answered(right: str, **values: Any) -> dict[str, Any]:
    """A run whose answers are given as ones and zeros."""
    bits = np.array([bit == "1" for bit in right])
    return run(**{"top1": 100 * float(bits.mean()), "test_images": len(bits), "correct": pack_bits(bits), **values})


def contrast_of(*rows: dict[str, Any], **names: str) -> Comparison:
    (found,) = comparisons(frame_of(rows), **names)
    return found


def test_the_differences_are_those_of_each_image_and_pair() -> None:
    found = differences(
        contrast_of(
            answered("1100110011", seed=1),
            answered("0000000001", seed=0),
            answered("1010110011", seed=1, join="lape"),
            answered("1000000000", seed=0, join="lape"),
        )
    )
    assert found is not None
    assert found.tolist() == [[1, 0, 0, 0, 0, 0, 0, 0, 0, -1], [0, -1, 1, 0, 0, 0, 0, 0, 0, 0]]


@pytest.mark.parametrize("missing", [None, float("nan")])
def test_answers_that_were_not_kept_are_absent_not_invented(missing: Any) -> None:
    rows = [answered("10", seed=0), answered("11", seed=0, join="lape", correct=missing)]
    found = contrast_of(*rows)
    assert differences(found) is None
    assert lacking(found) == 1
    (bare,) = comparisons(frame_of(rows).drop(columns=["correct", "test_images"]))
    assert differences(bare) is None
    assert lacking(bare) == 2


def test_answers_are_of_the_last_epoch_and_of_one_test_set() -> None:
    rows = [answered("10", seed=0), answered("11", seed=0, join="lape")]
    assert differences(contrast_of(*rows, metric="top1_best_epoch")) is None
    other = [answered("10", dataset="digits"), answered("111", dataset="cifar10")]
    found = contrast_of(*other, axis="dataset", baseline="digits")
    assert differences(found) is None
    check_test_images(found)


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"top1": 0.5}, r"a fraction, not a percentage(?s:.*)50, as 2 of 4"),
        ({"top1": 80.0}, r"isn't that of its answers(?s:.*)50, as 2 of 4"),
        ({"correct": "!!"}, "damaged"),
        ({"correct": ""}, "damaged"),
        ({"correct": pack_bits(np.ones(100, dtype=bool))}, "damaged"),
        ({"correct": pack_bits(np.ones(1, dtype=bool)), "test_images": 0}, "damaged"),
        ({"test_images": None}, "damaged"),
    ],
)
def test_answers_that_cant_be_those_of_the_run_are_refused(values: dict[str, Any], said: str) -> None:
    found = contrast_of(answered("1100", seed=0), answered("1100", seed=0, join="lape", **values))
    with pytest.raises(InputError, match=rf"{said}(?s:.*)trial {found.treatment.trials[0]}"):
        differences(found)


def test_a_rounded_accuracy_is_that_of_its_answers() -> None:
    assert differences(contrast_of(answered("110", top1=66.7), answered("111", join="lape"))) is not None


@pytest.mark.parametrize(
    ("right", "images", "rounded"),
    [(2, 3, 66.7), (2, 3, 66.67), (3247, 10_000, 32.47), (500, 1000, 50.0), (38_265, 50_000, 76.53), (1, 7, 100 / 7)],
)
def test_half_a_unit_of_its_rounding_is_all_that_an_accuracy_may_be_off(
    right: int, images: int, rounded: float
) -> None:
    def frame(count: int) -> pd.DataFrame:
        bits = pack_bits(np.arange(images) < count)
        return frame_of([run(top1=rounded, test_images=images, correct=bits)])

    check_accuracies(frame(right))
    for other in (right - 3, right + 3) if images > 10_000 else (right - 1, right + 1):
        with pytest.raises(InputError, match="isn't that of its answers"):
            check_accuracies(frame(other))


def test_test_sets_of_two_sizes_are_refused() -> None:
    found = contrast_of(answered("1100", seed=0), answered("11000", seed=0, join="lape"))
    with pytest.raises(InputError, match=r"different test sets(?s:.*)4 in trial \w+, 5 in trial"):
        check_test_images(found)


def test_copied_answers_are_noticed_unless_all_are_right() -> None:
    rows = [answered("1100", seed=seed) for seed in range(3)]
    rows += [answered("1111", seed=seed, join="lape") for seed in range(3)]
    found = contrast_of(*rows)
    assert (copies(found.baseline), copies(found.treatment)) == ([1, 2], [])


def test_every_accuracy_is_held_against_its_answers() -> None:
    rows = paired_rows([0.5, 1.0])
    check_accuracies(frame_of(rows))
    check_accuracies(frame_of([{**row, "correct": None, "test_images": None} for row in rows]))
    with pytest.raises(InputError, match="isn't that of its answers"):
        check_accuracies(frame_of([*rows[:-1], {**rows[-1], "top1": rows[-1]["top1"] - 2}]))
    with pytest.raises(InputError, match="a fraction, not a percentage"):
        check_accuracies(frame_of([*rows[:-1], {**rows[-1], "top1": rows[-1]["top1"] / 100}]))
    with pytest.raises(InputError, match="damaged"):
        check_accuracies(frame_of([*rows[:-1], {**rows[-1], "test_images": None}]))
