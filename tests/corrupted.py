"""A small data set of 32 × 32 pixels, a grid that tests corrupted copies of it, and copies that need no package."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from suite.data.arrays import Pixels, Split, arrays_checksum, canonical_order
from suite.data.cache import Meta, publish
from suite.data.corruptions.settings import Corruptions
from suite.data.corruptions.stored import CopiesOf
from suite.data.datasets import Dataset
from suite.grid.grid import load_grid
from suite.grid.trial import Trial
from suite.store.corruptions import mean_error, pack_counts
from suite.store.record import RunRecord
from tests.records import make_record

NAME, CLASSES = "pictures", 2
# Wrong answers to 4 copies of 6 images, of 3 seeds.
BASE = [[4, 3, 2, 2, 1, 0], [4, 4, 2, 2, 1, 0], [4, 3, 2, 2, 2, 0]]
BETTER = [[3, 3, 1, 1, 1, 0], [4, 3, 1, 2, 1, 0], [3, 3, 1, 2, 1, 0]]
CORRUPTIONS = "{kinds: [fog, contrast], severities: [1, 5], images: 12}"


def grid_text(checksum: str, corruptions: str = CORRUPTIONS) -> str:
    """A grid of two joins, with the recipe key `corruptions`."""
    return f"""
name: robust
seeds: [0, 1, 2]
recipe: {{name: short, version: 1, epochs: 1, batch_size: 8, lr: 1e-3, corruptions: {corruptions}}}
claims: [claims.yaml]
architectures:
  tiny: {{family: vit_lite, patch_size: 16, embed_dim: 8, depth: 1, num_heads: 2, mlp_ratio: 1}}
datasets:
  {NAME}: {{num_classes: {CLASSES}, image_size: 32, channels: 3, train_images: 24, test_images: 20,
            mean: [0.5, 0.5, 0.5], std: [0.3, 0.3, 0.3], checksum: {checksum}}}
axes: {{arch: [tiny], pe: [learnable], join: [default, lape], dataset: [{NAME}]}}
"""


def claims_text(metric: str, more: str = "") -> str:
    """A claim file with one claim of a metric."""
    return f"""
paper: Paper
version: v1
table: abstract
evidence: abstract
test: {{alpha: 0.05, margin_share: "0.5", min_pairs: 3}}
claims:
  - id: robust
    row: LaPE
    kind: analogue
    published_for: other images
    contrast: {{axis: join, baseline: default, treatment: lape, match: {{arch: tiny, dataset: {NAME}}}}}
    metric: {metric}
    claimed_gain: 2.0
    {more}
"""


def prepare_pictures(root: Path) -> Dataset:
    """Prepare the data set in a cache: random images whose class shifts their brightness."""
    draws = np.random.default_rng(0)
    splits = {}
    for name, count in (("train", 24), ("test", 20)):
        labels = np.arange(count, dtype=np.int64) % CLASSES
        images = draws.integers(0, 128, (count, 32, 32, 3)) + 100 * labels[:, None, None, None]
        split = Split(images.astype(np.uint8), labels)
        splits[name] = split.take(canonical_order(split))
    dataset = Dataset(
        name=NAME, num_classes=CLASSES, image_size=32, channels=3, train_images=24, test_images=20,
        mean=(0.5,) * 3, std=(0.3,) * 3, checksum=arrays_checksum(splits),
    )  # fmt: skip
    publish(Meta(dataset=dataset), splits, root)
    return dataset


def darker(kind: str, severity: int, seed: int, images: Pixels, indices: Sequence[int]) -> Pixels:
    """Copies that need no package: the darker, the more severe."""
    return images // np.uint8(severity + 1)


def make_copies(dataset: Dataset, corruptions: Corruptions, root: Path) -> CopiesOf:
    """Store such copies of the first images of each class, as a trial would."""
    from suite.data.cache import load_split
    from suite.data.images import load_images
    from suite.data.subsets import balanced_subset

    test = load_split(dataset, "test", root)
    count = corruptions.images or len(test)
    labels = load_images(dataset, "test", root).labels
    copies = CopiesOf(dataset, corruptions, 1.0, root)
    copies.make(lambda places: test.images[list(places)], balanced_subset(labels, count).tolist(), darker)
    return copies


def corrupted_fields(trial: Trial, wrong: Sequence[int]) -> dict[str, Any]:
    """The fields of a record about corrupted images. wrong: of each image, how many copies are misclassified.

    All kinds and severities have the same error.
    """
    corruptions = trial.recipe.corruptions
    assert corruptions is not None
    error = 100 * sum(wrong) / (len(wrong) * corruptions.copies)
    errors = {kind: {str(one): error for one in corruptions.severities} for kind in corruptions.kinds}
    return {
        "corruption_error": mean_error(errors),
        "corruption_errors": errors,
        "corruption_images": len(wrong),
        "corruption_wrong": pack_counts(np.array(wrong, np.uint8)),
        "corruption_data": "0123456789abcdef",
    }


def records_of(
    write_grid: Callable[..., Path],
    base: Sequence[Sequence[int]] = BASE,
    treated: Sequence[Sequence[int]] = BETTER,
    **changes: Any,
) -> list[RunRecord]:
    """Records of the grid's trials, made without training, with these answers to the corrupted copies."""
    found = []
    for trial in load_grid(write_grid(text=grid_text("a" * 64))).expand().trials:
        wrong = (base if trial.join == "default" else treated)[trial.seed_index]
        found.append(make_record(trial, 60.0, **{**corrupted_fields(trial, wrong), **changes}))
    return found
