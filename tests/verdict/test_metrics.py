"""Claims about another metric than accuracy: an error, of which less is better, alone or relative to a reference."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from suite.errors import InputError
from suite.grid.grid import load_grid
from suite.report.tables.corruptions import corruption_tables
from suite.store.folder import Store
from suite.store.frames import to_columns, to_frame
from suite.store.record import RunRecord
from suite.verdict import judge
from suite.verdict.claims.reader import load_claims
from suite.verdict.comparisons import comparisons
from suite.verdict.failures import with_failures
from suite.verdict.test_images import check_accuracies, differences
from suite.verdict.verdicts import Verdict, to_json
from tests.conftest import REPOSITORY
from tests.corrupted import BASE, BETTER, CORRUPTIONS, claims_text, grid_text, records_of
from tests.records import make_record

Write = Callable[..., Path]
REFERENCE = "reference: {name: a model, severities: [1, 5], errors: {fog: 80, contrast: 40}}"


def verdict_of(records: Sequence[RunRecord], folder: Path, metric: str, more: str = "") -> Verdict:
    path = folder / "claims.yaml"
    path.write_text(claims_text(metric, more))
    (verdict,) = judge(to_columns(records), load_claims([path]), pairs_expected=3)
    return verdict


def test_a_lower_error_is_a_gain(tmp_path: Path, write_grid: Write) -> None:
    verdict = verdict_of(records_of(write_grid), tmp_path, "corruption_error")
    seen = verdict.evidence
    assert verdict.word == "gain_here"
    assert seen is not None
    fewer = (np.array(BASE) - np.array(BETTER)).sum(axis=1)
    assert seen.comparison.gains == pytest.approx(100 * fewer / 24)
    assert seen.comparison.means == pytest.approx((100 * np.array(BASE).mean() / 4, 100 * np.array(BETTER).mean() / 4))
    assert verdict.sentence.startswith("claimed +2.00 (points less corruption error), observed +11.11 [")
    images = seen.images
    assert images is not None
    assert (images.images, images.copies, images.gained, images.lost) == (6, 4, (3, 2, 3), (0, 0, 0))
    assert images.crossed.mean == pytest.approx(seen.gain.mean)
    assert images.crossed.sd == pytest.approx(seen.gain.sd)


def test_the_interval_over_images_is_that_of_single_answers_if_each_has_one_copy() -> None:
    """Two copies that are always right together say the same as one image: half as many points per copy."""
    from suite.verdict.stats.crossed import crossed_interval

    one = np.random.default_rng(0).integers(-1, 2, (4, 50)).astype(np.int16)
    assert crossed_interval(2 * one, copies=2) == crossed_interval(one.astype(np.int8))


def test_a_higher_error_is_a_loss(tmp_path: Path, write_grid: Write) -> None:
    verdict = verdict_of(records_of(write_grid, BETTER, BASE), tmp_path, "corruption_error")
    assert verdict.word == "opposite_here"
    assert verdict.evidence is not None
    assert verdict.evidence.gain.mean < 0


def test_mce_is_relative_to_its_reference(tmp_path: Path, write_grid: Write) -> None:
    verdict = verdict_of(records_of(write_grid), tmp_path, "mce", REFERENCE)
    seen = verdict.evidence
    assert seen is not None
    error = 100 * np.array(BASE).mean() / 4  # of both kinds
    assert seen.comparison.means[0] == pytest.approx((100 * error / 80 + 100 * error / 40) / 2)
    assert seen.images is None
    assert any("isn't a mean of answers to single images" in text for text in verdict.caveats)
    assert json.loads(to_json([verdict]))[0]["claim"]["reference"]["errors"] == {"fog": 80, "contrast": 40}


@pytest.mark.parametrize(
    ("metric", "more"),
    [
        ("corruption_error", ""),
        ("mce", REFERENCE),
    ],
)
def test_runs_without_the_metric_leave_the_claim_untested(
    tmp_path: Path, write_grid: Write, metric: str, more: str
) -> None:
    found = load_grid(write_grid((f", corruptions: {CORRUPTIONS}", ""), text=grid_text("a" * 64))).expand()
    verdict = verdict_of([make_record(trial) for trial in found.trials], tmp_path, metric, more)
    assert verdict.word == "not_tested"
    assert "the runs weren't tested on corrupted images: their recipe has no corruptions" in verdict.obstacle


@pytest.mark.parametrize("change", [("[1, 5]", "[1, 4]"), (", contrast: 40", ""), ("contrast: 40", "frost: 40")])
def test_a_reference_of_other_corruptions_leaves_the_claim_untested(
    tmp_path: Path, write_grid: Write, change: tuple[str, str]
) -> None:
    verdict = verdict_of(records_of(write_grid), tmp_path, "mce", REFERENCE.replace(*change))
    assert verdict.word == "not_tested"
    assert "other kinds or severities than the reference" in verdict.obstacle


@pytest.mark.parametrize(
    ("metric", "more", "told"),
    [
        ("mce", "", "a reference, whose errors are 100 %"),
        ("top1", REFERENCE, "with metric: mce alone"),
        ("corruption_error", "epoch: 3", "no epoch with metric: corruption_error"),
        ("mce", REFERENCE.replace("fog", "frogs"), "did you mean 'frost'?"),
        ("mce", REFERENCE.replace("80", "0"), "a number above 0"),
        ("robustness", "", "expected:   a known metric"),
        (
            "corruption_error",
            "claimed_baseline: 30.0\n    claimed_treatment: 32.0",
            "claimed_baseline − claimed_treatment",
        ),
    ],
)
def test_a_claim_that_cant_be_is_refused(tmp_path: Path, metric: str, more: str, told: str) -> None:
    path = tmp_path / "claims.yaml"
    path.write_text(claims_text(metric, more))
    with pytest.raises(InputError) as caught:
        load_claims([path])
    assert told in str(caught.value)


def test_a_failed_pair_at_its_worst_has_the_error_of_guessing(write_grid: Write) -> None:
    records = records_of(write_grid)
    (lost,) = (place for place, one in enumerate(records) if one.join == "lape" and one.seed_index == 2)
    trial = load_grid(write_grid(text=grid_text("a" * 64))).expand().trials[lost]
    records[lost] = make_record(trial, status="diverged", diverged_step=1)
    (compared,) = comparisons(to_frame(records), metric="corruption_error")
    found = with_failures(compared)
    assert found is not None
    base = [100 * sum(wrong) / 24 for wrong in BASE]
    assert found.low[2] == pytest.approx(base[2] - 100)  # the number of classes isn't known: always wrong
    assert found.high[2] == pytest.approx(base[2] - 100 * min(map(sum, BETTER[:2])) / 24)


def test_answers_to_other_corrupted_images_are_not_compared_one_by_one(tmp_path: Path, write_grid: Write) -> None:
    records = records_of(write_grid)
    records[0] = records[0].model_copy(update={"corruption_data": "f" * 16})
    (compared,) = comparisons(to_columns(records), metric="corruption_error")
    assert differences(compared) is None
    verdict = verdict_of(records, tmp_path, "corruption_error")
    assert any("tested on different corrupted images" in text for text in verdict.caveats)
    assert not any("different corrupted" in text for text in verdict_of(records, tmp_path, "top1").caveats)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"corruption_wrong": "////"}, "answers of a run to corrupted images are damaged"),
        ({"corruption_wrong": "AAAAAAAA"}, "an error on corrupted images isn't that of its answers"),
        ({"corruption_images": 7}, "answers of a run to corrupted images are damaged"),
    ],
)
def test_answers_that_dont_fit_their_error_are_refused(write_grid: Write, changes: dict[str, Any], told: str) -> None:
    with pytest.raises(InputError, match=told):
        check_accuracies(to_columns(records_of(write_grid, **changes)))


@pytest.mark.parametrize(
    "changes",
    [{"corruption_error": None}, {"corruption_error": 1.0}, {"corruption_errors": {}}, {"corruption_images": 0}],
)
def test_a_record_whose_errors_dont_fit_each_other_is_refused(write_grid: Write, changes: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"corruption|corrupted"):
        records_of(write_grid, **changes)


def test_the_table_has_the_error_and_the_gain_of_each_kind(write_grid: Write) -> None:
    (table,) = corruption_tables(to_columns(records_of(write_grid)))
    assert [record["corruption"] for record in table.records] == ["all", "fog", "contrast"] * 2
    base, treated = table.records[0], table.records[3]
    assert (base["n"], base["pairs"], treated["pairs"]) == (3, 0, 3)
    assert treated["error_mean"] == pytest.approx(100 * np.array(BETTER).mean() / 4)
    assert treated["gain"] == pytest.approx(100 / 9)
    assert table.records[4]["gain"] == pytest.approx(100 / 9)  # of each kind: they have equal errors
    assert (base["severity_1"], base["severity_5"]) == pytest.approx((base["error_mean"],) * 2)
    plain = [one for one in records_of(write_grid) if one.corruption_error is None]
    assert corruption_tables(to_columns(plain)) == []


def test_the_committed_reference_is_that_of_its_record() -> None:
    """The claim on mCE names the errors of a committed run, which no command carries over."""
    (record,) = Store(REPOSITORY / "results" / "robustness_reference").records().values()
    (claim,) = load_claims([REPOSITORY / "grids" / "claims" / "robustness_mce.yaml"])
    assert claim.reference is not None
    assert record.corruption_errors is not None
    means = {kind: sum(errors.values()) / len(errors) for kind, errors in record.corruption_errors.items()}
    assert claim.reference.errors == pytest.approx(means, abs=0.005)
    (trial,) = load_grid("robustness_reference").expand().trials
    of_claim = load_grid("robustness_mce").expand().trials[0]
    assert (trial.id, trial.recipe) == (record.trial_id, of_claim.recipe)
