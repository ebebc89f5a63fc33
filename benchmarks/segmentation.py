"""Measures what a test of a segmentation costs beside the network, and the loss that groups patches into regions.

Run `python -m benchmarks.performance segmentation`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
import torch
from torch import Tensor

from benchmarks.documents import markdown
from benchmarks.interleaved import interleaved
from benchmarks.regions import CLUSTERS, communities
from suite.bench.ratios import paired_ratio, quartiles
from suite.cli.commands.throughput import ratio_text
from suite.grid.grid import load_grid
from suite.models.build import build_model
from suite.models.regions.modularity import modularity_loss
from suite.store.environment import processor
from suite.train.tasks import SemanticSegmentation

GRIDS = ("table4_budget", "table4")  # 96×96 pixels and 11 classes; a window of 512×512 pixels and 150 classes
IMAGES = {"table4_budget": 32, "table4": 1}  # of a batch
PATCHES = {196: 16, 784: 4, 3136: 1}  # images of a batch, by their number of patches
ROUNDS = 5
IGNORED_SHARE = 20  # one pixel in so many has no label


def measure() -> dict[str, Any]:
    """Measure both tables of this module, on one thread."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        tests, losses = [_test(grid) for grid in GRIDS], [_loss(count) for count in PATCHES]
        return {"tests": tests, "losses": losses, "processor": processor(), "torch": torch.__version__}
    finally:
        torch.set_num_threads(threads)


def tables(figures: Mapping[str, Any]) -> Mapping[str, str]:
    """Return the tables of docs/performance.md, by name, in Markdown."""
    machine = f"{figures['processor']}, one thread, torch {figures['torch']}."
    return {"masks": f"{_tests(figures['tests'])}\n\n{machine}", "modularity": _losses(figures["losses"])}


def _tests(rows: Sequence[Mapping[str, Any]]) -> str:
    lines = []
    for row in rows:
        network, ours, loop = (1e3 * quartiles(row[side]).median for side in ("network", "ours", "loop"))
        ratio = ratio_text(asdict(paired_ratio(row["ours"], row["loop"])))
        share = f"{100 * ours / (network + ours):.1f}"
        size = f"{row['side']}×{row['side']}, {row['classes']} classes"
        lines.append([row["arch"], size, f"{network:,.1f}", f"{ours:,.2f}", share, f"{loop:,.2f}", ratio])
    heads = ("model", "images", "network (ms)", "counts and loss (ms)", "share (%)", "plain loop (ms)", "loop / ours")
    return markdown(heads, lines)


def _losses(rows: Sequence[Mapping[str, Any]]) -> str:
    lines = [
        [
            str(row["patches"]),
            *(f"{1e3 * quartiles(row[side]).median:,.1f}" for side in ("ours", "autograd")),
            ratio_text(asdict(paired_ratio(row["ours"], row["autograd"]))),
        ]
        for row in rows
    ]
    return markdown(("patches", "ours (ms)", "by autograd (ms)", "autograd / ours"), lines)


def _test(grid: str) -> dict[str, Any]:
    """Time network, counts and loss, and a plain loop on a test batch: seconds per image of each round."""
    trial = load_grid(grid).expand().trials[0]
    dataset, images = trial.dataset, IMAGES[grid]
    model = build_model(trial.model).eval()
    draw = torch.Generator().manual_seed(0)
    shape = images, dataset.image_size, dataset.image_size
    batch = torch.randn(images, dataset.channels, *shape[1:], generator=draw)
    labels = torch.randint(dataset.num_classes, shape, generator=draw)
    labels = labels.where(torch.randint(IGNORED_SHARE, shape, generator=draw) > 0, -1)
    with torch.inference_mode():
        logits = model(batch)
        task = SemanticSegmentation(dataset.num_classes)
        assert np.array_equal(task.judge(logits, labels)[0].numpy(), counts_by_loop(logits, labels))
        sides: dict[str, Callable[[], object]] = {
            "network": lambda: model(batch),
            "ours": lambda: task.judge(logits, labels),
            "loop": lambda: (counts_by_loop(logits, labels), _loss_of(logits, labels)),
        }
        found = {side: [seconds / images for seconds in taken] for side, taken in interleaved(sides, ROUNDS).items()}
    return {"arch": trial.arch.name, "side": dataset.image_size, "classes": dataset.num_classes, **found}


def counts_by_loop(logits: Tensor, labels: Tensor) -> np.ndarray[Any, np.dtype[np.int64]]:
    """The counts of `suite.store.segmentation` by a confusion matrix per image, as evaluations of masks usually do.

    Args:
        logits: float32 [images, classes, H, W].
        labels: int64 [images, H, W]; -1 where a pixel has none.
    """
    classes, found = logits.shape[1], []
    for predicted, truth in zip(logits.argmax(1).numpy(), labels.numpy(), strict=True):
        known = truth >= 0
        pairs = classes * truth[known] + predicted[known]
        matrix = np.bincount(pairs, minlength=classes**2).reshape(classes, classes)
        found.append([np.diag(matrix), matrix.sum(1), matrix.sum(0)])
    return np.array(found)


def _loss_of(logits: Tensor, labels: Tensor) -> Tensor:
    return torch.nn.functional.cross_entropy(logits, labels, ignore_index=-1, reduction="sum")


def _loss(patches: int) -> dict[str, Any]:
    """Time value and gradient of DCN's loss, in seconds per image of each round: ours, and autograd's."""
    images = PATCHES[patches]
    features = communities(round(patches**0.5), images)
    draw = torch.Generator().manual_seed(1)
    start = 2 * torch.rand(images, patches, CLUSTERS, generator=draw) - 1

    def graded(loss: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
        similarities = start.clone().requires_grad_()
        loss(features, similarities).backward()
        assert similarities.grad is not None
        return similarities.grad

    torch.testing.assert_close(graded(modularity_loss), graded(loss_by_autograd), rtol=1e-3, atol=1e-7)
    sides = {"ours": lambda: graded(modularity_loss), "autograd": lambda: graded(loss_by_autograd)}
    found = interleaved(sides, ROUNDS)
    return {"patches": patches, **{side: [seconds / images for seconds in taken] for side, taken in found.items()}}


def loss_by_autograd(features: Tensor, similarities: Tensor) -> Tensor:
    """`modularity_loss` with all that its formula has, [images, patches, patches, prototypes], left to autograd.

    Args:
        features: of the patches, [images, patches, width].
        similarities: of each patch to each prototype, [images, patches, prototypes].
    """
    directions = torch.nn.functional.normalize(features, dim=2)
    weights = (directions @ directions.mT).clamp(min=0)
    degrees = weights.sum(2)
    total = degrees.sum(1)[:, None, None]
    members = similarities.clamp(min=0)
    shared = (members[:, :, None] * members[:, None]).amax(3)
    return -((weights - degrees[:, :, None] * degrees[:, None] / total) / total * shared).sum((1, 2)).mean()
