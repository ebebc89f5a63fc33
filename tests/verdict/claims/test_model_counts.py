from __future__ import annotations

import json

import pytest

from suite.verdict.claims.model_counts import judge_static, to_json
from suite.verdict.claims.published import Value
from tests.conftest import REPOSITORY
from tests.static_counts import registry, static_counts

VALUE = {
    "id": "v", "paper": "P", "version": "1", "table": "5", "row": "LaPE", "column": "parameters (M)",
    "cell": {"arch": "deit_tiny", "pe": "learnable", "join": "lape", "dataset": "imagenet1k"},
    "metric": "params_millions", "printed": "5.722", "evidence": "printed_table",
}  # fmt: skip


def value(**changes: object) -> Value:
    return Value.model_validate({**VALUE, **changes})


@pytest.mark.parametrize(
    ("metric", "printed", "word", "computed"),
    [
        ("params_millions", "5.722", "confirmed", "5.722"),
        ("params_millions", "5.7220", "confirmed", "5.7220"),
        ("params_millions", "6", "confirmed", "6"),
        ("params_millions", "5.721", "contradicted", "5.722"),
        ("params_millions", "5.72202", "confirmed", "5.72202"),
        ("params_millions", "5.722023", "contradicted", "5.722024"),
        ("pe_params_thousands", "42", "confirmed", "42"),
        ("pe_params_thousands", "42.5", "contradicted", "42.4"),
    ],
)
def test_a_count_is_compared_to_the_printed_digits(metric: str, printed: str, word: str, computed: str) -> None:
    (verdict,) = judge_static([value(metric=metric, printed=printed)])
    assert (verdict.word, verdict.computed) == (word, computed)
    assert verdict.count == {"params_millions": 5_722_024, "pe_params_thousands": 42_432}[metric]


def test_a_printed_count_may_be_truncated() -> None:
    # 42,432 and 5,722,024: cut off behind the last digit, and one less or more than that.
    for metric, printed, word in (
        ("pe_params_thousands", "42.43", "confirmed"),
        ("params_millions", "5.72", "confirmed"),
        ("params_millions", "5.71", "contradicted"),
        ("params_millions", "5.73", "contradicted"),
    ):
        (verdict,) = judge_static([value(metric=metric, printed=printed)])
        assert verdict.word == word, printed
        assert verdict.reason == ""
    small = {"cell": {**VALUE["cell"], "arch": "deit_small", "join": "default"}}  # type: ignore[dict-item]
    (rounded,) = judge_static([value(**small, printed="22.051")])
    (cut,) = judge_static([value(**small, printed="22.050")])
    (less,) = judge_static([value(**small, printed="22.049")])
    assert (rounded.count, rounded.word, rounded.reason) == (22_050_664, "confirmed", "")
    assert (cut.word, cut.reason, cut.computed) == ("confirmed", "truncated, not rounded", "22.050")
    assert less.word == "contradicted"


def test_the_difference_is_in_parameters() -> None:
    (verdict,) = judge_static([value(printed="5.7")])
    assert verdict.difference == 22_024


def test_what_cant_be_counted_says_why() -> None:
    changes = ({"not_runnable": "isn't built"}, {"cell": {**VALUE["cell"], "pe": "rpe2d"}})  # type: ignore[dict-item]
    first, second = judge_static([value(**change) for change in changes])
    assert (first.word, first.reason, first.difference) == ("not_tested", "isn't built", None)
    assert second.word == "not_tested"
    assert "nothing to join" in second.reason


def test_other_metrics_are_left_out() -> None:
    assert judge_static([value(metric="train_memory_mb")]) == []


def test_which_printed_counts_are_those_of_our_models() -> None:
    files, verdicts = registry(), static_counts()
    tables = [(verdict.value.paper, verdict.value.table) for verdict in verdicts]
    dtn = ("DTN", "released README, table 1")
    assert tables == [dtn] * 14 + [("iRPE", "released README")] * 3 + [("LaPE", "5")] * 6 + [("LaPE", "7")] * 14
    disagree = [verdict for verdict in verdicts if verdict.word != "confirmed"]
    wrong = [verdict for verdict in disagree if verdict.value.paper == "LaPE"]
    assert [(verdict.value.id, verdict.word, verdict.count) for verdict in wrong] == [
        ("t7-rpe2d-default-params", "contradicted", 12 * 27 * 27 * 3)
    ]
    assert {verdict.value.id: verdict.computed for verdict in disagree if verdict.value.paper == "DTN"} == {
        "dtn-vit_tiny_h4_c192-dtn-macs": "1.55",
        "dtn-vit_small_h6_c384-ln-params": "22.0",
        "dtn-vit_small_h6_c384-dtn-params": "22.0",
        "dtn-vit_small_h6_c384-dtn-macs": "5.18",
        "dtn-vit_base_h16_c768-dtn-macs": "18.71",
    }
    told = f"{len(verdicts) - len(disagree)} of {len(verdicts)} agree"
    assert told in (REPOSITORY / "docs" / "commands.md").read_text(encoding="utf-8")
    # What the audit, which needs no torch, takes from the released code is what is counted here.
    (stated,) = [one for file in files for one in file.stated if one.id == "lape-code-rpe2d-params"]
    assert wrong[0].value.id == stated.of
    assert float(stated.printed) * 1000 == wrong[0].count


def test_as_json() -> None:
    (read,) = json.loads(to_json(judge_static([value(printed="5.7")])))
    assert (read["word"], read["count"], read["difference"]) == ("confirmed", 5_722_024, 22_024)
    assert (read["value"]["id"], read["value"]["printed"]) == ("v", "5.7")
