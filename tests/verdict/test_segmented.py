"""Segmentations in verdicts: the numbers are those of the pixel counts, and what each image adds to the mIoU."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from suite.errors import InputError
from suite.store.segmentation import class_ious, mean_iou, pack_pixel_counts, pixel_accuracy
from suite.verdict.metrics import METRICS
from suite.verdict.segmented import SegmentationEvidence, image_shares, pixel_counts
from suite.verdict.stats.crossed import crossed_interval


def made_up(images: int = 40, classes: int = 4, seed: int = 0) -> np.ndarray:
    """Counts of images of 100 pixels each."""
    random = np.random.default_rng(seed)
    counts = np.zeros((images, 3, classes), dtype=np.int64)
    for image in counts:
        truth, guess = random.integers(0, classes, (2, 100))
        guess = np.where(random.random(100) < 0.6, truth, guess)
        image[0] = np.bincount(truth[truth == guess], minlength=classes)
        image[1], image[2] = (np.bincount(values, minlength=classes) for values in (truth, guess))
    return counts


def evidence(counts: np.ndarray) -> SegmentationEvidence:
    ious = class_ious(counts)
    return SegmentationEvidence(pack_pixel_counts(counts), len(counts), ious, mean_iou(ious), pixel_accuracy(counts))


def test_counts_are_read_back():
    assert np.array_equal(pixel_counts(evidence(made_up()), "here"), made_up())


def test_damaged_or_other_counts_are_refused():
    kept = evidence(made_up())
    impossible = made_up()
    impossible[0, 0, 0] = impossible[0, 1, 0] + 1
    cases = {
        "the pixel counts of a run are damaged": replace(kept, counts=kept.counts[:-8]),
        "the numbers of a segmentation aren't those of its pixel counts": replace(kept, miou=kept.miou + 1),
    }
    for what, case in cases.items():
        with pytest.raises(InputError) as refused:
            pixel_counts(case, "runs.jsonl, trial 1")
        assert (refused.value.problems[0].what, refused.value.problems[0].where) == (what, "runs.jsonl, trial 1")
    with pytest.raises(InputError, match="possible"):
        pixel_counts(replace(kept, counts=pack_pixel_counts(impossible)), "here")


def test_the_shares_of_images_have_the_miou_as_their_mean():
    counts = made_up()
    assert 100 * image_shares(counts).mean() == pytest.approx(mean_iou(class_ious(counts)))
    empty = np.concatenate([counts, np.zeros_like(counts[..., :1])], axis=2)  # a class that nobody has
    assert image_shares(empty) == pytest.approx(image_shares(counts))


def test_a_share_is_what_an_image_changes():
    """Counting an image a little more often changes the mIoU as its share says, to first order."""
    counts, step = made_up(images=10), 1e-6

    def miou(weights: np.ndarray) -> float:
        right, labelled, predicted = (counts * weights[:, None, None]).sum(0)
        return float((right / (labelled + predicted - right)).mean())

    whole = miou(np.ones(10))
    for image, share in enumerate(image_shares(counts)):
        weights = np.ones(10)
        weights[image] += step
        assert (miou(weights) - whole) / step == pytest.approx((share - whole) / 10, abs=1e-5)


def test_differences_in_floats_are_judged_as_whole_numbers_are():
    whole = np.random.default_rng(1).integers(-1, 2, (5, 60)).astype(np.int8)
    one, other = crossed_interval(whole), crossed_interval(whole.astype(np.float64))
    for name in ("mean", "sd", "se_images", "low", "high", "floor", "p_below_floor"):
        assert getattr(one, name) == pytest.approx(getattr(other, name)), name


def test_metrics_of_segmentations_are_nan_for_other_runs():
    for name in ("miou", "pixel_accuracy"):
        metric = METRICS[name]
        assert metric.tested
        assert metric.better == "higher"
        assert metric.read is not None
        assert np.isnan(metric.read({"top1": 80.0, "miou": None}, None))
        assert np.isnan(metric.read({"top1": 80.0}, None))
    assert METRICS["miou"].read({"top1": 80.0, "miou": 30.0}, None) == 30.0
    assert METRICS["pixel_accuracy"].read({"top1": 80.0, "miou": 30.0}, None) == 80.0
    assert METRICS["miou"].at_accuracy(50.0, None) == pytest.approx(100 / 3)
