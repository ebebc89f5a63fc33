from __future__ import annotations

import json

import numpy as np
import pytest
from scipy import stats as scipy_stats

from suite.verdict.paper_level import by_claim, paper_answers
from suite.verdict.verdicts import Verdict, judge, to_json
from tests.frames import frame_of, paired_rows
from tests.verdict.test_verdicts import claim

CELLS = {("a", "digits"): [0.8, 0.9, 0.7], ("b", "digits"): [1.2, 1.3, 1.1], ("c", "digits"): [0.3, 0.5, 0.4]}


def verdicts(cells: dict[tuple[str, str], list[float]]) -> list[Verdict]:
    rows = [row for (arch, pe), gains in cells.items() for row in paired_rows(gains, arch=arch, dataset=pe)]
    claims = [claim(id=f"{arch}-{data}", match={"arch": arch, "dataset": data}) for arch, data in cells]
    return judge(frame_of(rows), claims)


def test_the_claims_of_a_table_are_one_question() -> None:
    (answer,) = paper_answers(verdicts(CELLS))
    means = np.array([0.8, 1.2, 0.4])
    low, high = scipy_stats.t.interval(0.95, 2, means.mean(), scipy_stats.sem(means))
    assert (answer.cells.cells, answer.cells.clusters) == (3, 3)
    assert (answer.cells.low, answer.cells.high) == pytest.approx((low, high))
    assert answer.cells.p_greater == pytest.approx(scipy_stats.ttest_1samp(means, 0, alternative="greater").pvalue)
    assert answer.gaining == 3
    assert answer.title == "LaPE (ICCV 2023), Table 2"
    assert answer.treatment == "join lape over default"
    assert "mean gain +0.80 [−0.19, +1.79] over 3 cells, p = 0.0371" in answer.sentence
    assert answer.sentence.endswith("at least 3 of 3 cells gain")


def test_cells_that_share_an_architecture_are_clustered() -> None:
    cells = {**CELLS, ("a", "cifar10"): [0.9, 1.0, 1.1]}
    (answer,) = paper_answers(verdicts(cells))
    assert (answer.cells.cells, answer.cells.clusters) == (4, 3)
    assert answer.cells.mean == pytest.approx(np.mean([0.9, 1.2, 0.4]))
    assert "over 4 cells of 3 architectures" in answer.sentence
    one = {("a", data): [0.8, 0.9, gain] for data, gain in (("digits", 0.7), ("cifar10", 0.6), ("cifar100", 0.5))}
    (answer,) = paper_answers(verdicts(one))
    assert "over 3 cells of one architecture: too few to tell how much cells differ" in answer.sentence


def test_a_claim_that_is_not_tested_is_no_cell() -> None:
    found = verdicts({**CELLS, ("d", "digits"): [5.0]})
    (answer,) = paper_answers(found)
    assert answer.cells.cells == 3
    assert paper_answers(found[:2]) == []


def test_the_answer_stands_in_the_json_of_each_of_its_claims() -> None:
    found = verdicts({**CELLS, ("d", "digits"): [5.0]})
    (answer,) = paper_answers(found)
    together = [one["together"] for one in json.loads(to_json(found, by_claim(found)))]
    assert together[0] == together[1] == together[2]
    assert together[0]["mean"] == pytest.approx(answer.cells.mean)
    assert (together[0]["cells"], together[0]["gaining"], together[3]) == (3, 3, None)
    assert together[0]["sentence"] == answer.sentence
    assert json.loads(to_json(found))[0]["together"] is None
