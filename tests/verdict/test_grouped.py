"""Groupings into regions in verdicts: the measures of each image, metrics with their units, and a claim about them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from suite.data.datasets import DATASETS
from suite.errors import InputError
from suite.grid.grid import load_grid
from suite.report.claim_details import claim_groups
from suite.report.figures.forest import common_scale
from suite.report.tables.regions import region_tables
from suite.report.tables.rows import rows
from suite.report.tables.summary import summary_table
from suite.store.frames import to_frame
from suite.store.record import RunRecord
from suite.store.regions import means, pack_measures
from suite.verdict.claims.claim import Claim
from suite.verdict.comparisons import comparisons
from suite.verdict.failures import bounds
from suite.verdict.grouped import MEASURED, RegionEvidence, image_measures, region_evidence
from suite.verdict.metrics import METRICS
from suite.verdict.test_images import check_accuracies, differences
from suite.verdict.verdicts import judge
from tests.grid.test_regions import GRID
from tests.records import make_record
from tests.store.test_regions import fields

IMAGES = 30


def made_up(seed: int, shift: float = 0.0) -> np.ndarray:
    """Measures of images: covering and Rand index about 40 and 60 %, 2 bits, 4 regions."""
    random = np.random.default_rng(seed)
    own = np.array([40 + shift, 60 + shift, 2 - shift / 10, 4]) + random.normal(0, [3, 3, 0.2, 0], (IMAGES, 4))
    return own.astype(np.float32)


@pytest.fixture
def records(tmp_path: Path) -> list[RunRecord]:
    """Five pairs; DCN's covering is 5 points above that of k-means, and its variation of information 0.5 bits less."""
    (tmp_path / "regions.yaml").write_text(GRID.replace("seeds: [0, 1]", "seeds: [0, 1, 2, 3, 4]"), encoding="utf-8")
    trials = load_grid(tmp_path / "regions.yaml").expand().trials
    return [
        make_record(trial, **fields(made_up(trial.seed_index, 5.0 if trial.arch.name == "dcn" else 0.0)), epochs=1)
        for trial in trials
    ]


def claim(metric: str, gain: float = 1.0) -> Claim:
    values: dict[str, Any] = {
        "id": f"regions-{metric}", "paper": "DCN", "version": "1", "table": "1", "row": "a row", "kind": "analogue",
        "published_for": "elsewhere", "evidence": "second_hand", "metric": metric, "claimed_gain": gain,
        "margin": gain / 2, "alpha": 0.05, "side": "greater", "min_pairs": 3, "family": "regions",
        "contrast": {"axis": "arch", "baseline": "kmeans", "treatment": "dcn", "match": {"dataset": "photographs"}},
    }  # fmt: skip
    return Claim.model_validate(values)


def test_measures_are_read_back_and_held_against_their_means() -> None:
    measures = made_up(0)
    kept = RegionEvidence(pack_measures(measures), IMAGES, dict(zip(MEASURED, means(measures), strict=True)))
    assert np.array_equal(image_measures(kept, "here"), measures.astype(np.float64))
    cases = {
        "the measures of a run's regions are damaged": replace(kept, measures=kept.measures[:-8]),
        "the means of a run's regions aren't those of its images": replace(kept, means={**kept.means, "covering": 9.0}),
    }
    for what, case in cases.items():
        with pytest.raises(InputError) as refused:
            image_measures(case, "runs.jsonl, trial 1")
        assert (refused.value.problems[0].what, refused.value.problems[0].where) == (what, "runs.jsonl, trial 1")
    assert region_evidence({"top1": 50.0}) is None


def test_records_are_held_against_their_images(records: list[RunRecord]) -> None:
    check_accuracies(to_frame(records))
    wrong = records[0].model_copy(update={"region_measures": records[1].region_measures})
    with pytest.raises(InputError, match=records[0].trial_id):
        check_accuracies(to_frame([wrong, *records[1:]]))


def test_metrics_have_their_units_and_directions(records: list[RunRecord]) -> None:
    frame = to_frame(records)
    for name, (gain, unit) in {"covering": (5.0, "points"), "rand_index": (5.0, "points"),
                               "variation_of_information": (0.5, "bits")}.items():  # fmt: skip
        metric = METRICS[name]
        assert metric.unit == unit
        assert metric.percent == (unit == "points")
        (found,) = comparisons(frame, "arch", "kmeans", name)
        assert found.gain.mean == pytest.approx(gain, abs=0.01)
        by_image = differences(found)
        assert by_image is not None
        assert by_image.shape == (5, IMAGES)
        assert 100 * by_image.mean(axis=1) == pytest.approx(found.gains, abs=1e-5)
    assert METRICS["variation_of_information"].note == " (bits less variation of information (VoI))"
    assert np.isnan(METRICS["covering"].read({"top1": 80.0}, None))  # type: ignore[misc]


@pytest.mark.parametrize(("metric", "unit"), [("covering", "points"), ("variation_of_information", "bits")])
def test_a_claim_is_judged_without_false_caveats(records: list[RunRecord], metric: str, unit: str) -> None:
    """Runs without classes are never near the accuracy of guessing, and their test images are no answers."""
    asked = claim(metric, 0.4 if unit == "bits" else 4.0)
    (verdict,) = judge(to_frame(records), [asked], pairs_expected=5)
    assert verdict.word == "gain_here"
    assert verdict.evidence is not None
    assert verdict.evidence.images is not None
    assert verdict.evidence.images.images == IMAGES
    assert not [text for text in verdict.caveats if "chance" in text or "trained" in text or "answers" in text]
    assert ("bits less variation of information" in verdict.sentence) == (unit == "bits")
    ((_, (row,)),), _ = claim_groups([verdict], common_scale([verdict]), {}, "")
    assert row["mean"].endswith(" bits") == row["claimed_text"].endswith(" bits") == (unit == "bits")
    assert (f"observed {row['mean']} [" in verdict.sentence) == (verdict.evidence.pairs > 1)
    numbers = dict(row["numbers"])
    assert numbers["Margin δ, level α"] == f"{asked.margin:g} {unit}, 0.05"
    assert "Images with better, worse regions; sign test" in numbers
    assert ("lower is better" in numbers["Metric"]) == (unit == "bits")
    assert numbers["Means over pairs"].count(" bits" if unit == "bits" else " %") == 2


def test_a_failed_pair_at_its_worst_has_no_value_of_guessing(records: list[RunRecord], tmp_path: Path) -> None:
    (tmp_path / "regions.yaml").write_text(GRID, encoding="utf-8")
    assert load_grid(tmp_path / "regions.yaml").expand().trials[0].dataset.guessed is None
    assert DATASETS["digits"].guessed == 10
    (found,) = comparisons(to_frame(records), "arch", "kmeans", "covering")
    lost = replace(found.treatment, values={seed: v for seed, v in found.treatment.values.items() if seed})
    (low, *_) = bounds(replace(found, treatment=lost), [0, 1]).low
    assert low == pytest.approx(-found.baseline.values[0])  # nothing is covered


def test_the_table_has_the_means_of_the_records(records: list[RunRecord]) -> None:
    frame = to_frame(records)
    (table,) = region_tables(frame)
    by_arch = {record["arch"]: record for record in table.records}
    for arch in ("dcn", "kmeans"):
        values = [record.variation_of_information for record in records if record.arch == arch]
        assert by_arch[arch]["variation_of_information_mean"] == pytest.approx(np.mean(values))
        assert by_arch[arch]["n"] == 5
    assert "VoI (bits)" in [column.head for column in table.columns]
    assert "Covering of the last epoch: mean" in " ".join(summary_table(rows(frame)).below)
    assert region_tables(to_frame([make_record(record_of_classes(), 50.0)])) == []


def record_of_classes() -> Any:
    return load_grid("quickstart").expand().trials[0]
