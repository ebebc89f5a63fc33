"""How well regions agree with those that people drew: covering, Rand index, variation of information.

The definitions are those of Arbeláez, Maire, Fowlkes and Malik (2011), Contour Detection and Hierarchical Image
Segmentation, section 3.1. Regions are given by whole-number labels of the pixels. Only which labels are equal matters.
Against several annotators, each measure is the mean over the annotators.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

Labels = npt.NDArray[np.integer[Any]]

_WIDEST = 2**16  # range of labels up to which they are counted, not sorted


class Agreement(NamedTuple):
    """How well a segmentation agrees with several annotators' ones.

    Attributes:
        covering: from 0 to 1; higher is better.
        rand: the probabilistic Rand index, from 0 to 1; higher is better.
        variation: of information, in bits, from 0; lower is better.
    """

    covering: float
    rand: float
    variation: float


def agreement(labels: Labels, annotations: Sequence[Labels]) -> Agreement:
    """All three measures, each averaged over the annotators.

    Args:
        labels: the segmentation, [height, width].
        annotations: the annotators' segmentations, of the same shape.

    Raises:
        ValueError: no annotator, no pixel, or another shape.
    """
    if not annotations:
        raise ValueError("at least one annotator is needed")
    tables = [contingency(truth, labels) for truth in annotations]
    measures = (covering, rand_index, variation_of_information)
    return Agreement(*(float(np.mean([measure(table) for table in tables])) for measure in measures))


def contingency(first: Labels, second: Labels) -> npt.NDArray[np.int64]:
    """The number of pixels in each region of the first and each of the second, [regions, regions].

    Raises:
        ValueError: no pixel, or different shapes.
    """
    if first.shape != second.shape or not first.size:
        raise ValueError(f"two segmentations of the same pixels are needed, not {first.shape} and {second.shape}")
    (row, rows), (column, columns) = (_numbered(labels.ravel()) for labels in (first, second))
    return np.bincount(row * columns + column, minlength=rows * columns).reshape(rows, columns).astype(np.int64)


def _numbered(labels: Labels) -> tuple[npt.NDArray[np.int64], int]:
    """Labels numbered from 0 without gaps, and how many there are."""
    if int(labels.max()) - int(labels.min()) > _WIDEST:
        names, numbers = np.unique(labels, return_inverse=True)
        return numbers, len(names)
    shifted = labels.astype(np.int64) - int(labels.min())
    present = np.bincount(shifted) > 0  # faster than sorting the pixels
    return (present.cumsum() - 1)[shifted], int(present.sum())


def covering(table: npt.NDArray[np.int64]) -> float:
    """The covering of the first segmentation by the second: Σ_R |R| max_R' |R ∩ R'| / |R ∪ R'|, by pixels.

    table: of `contingency`, with the regions R to be covered in its rows.
    """
    rows, columns = table.sum(axis=1), table.sum(axis=0)
    overlaps = table / (rows[:, None] + columns - table)
    return float(rows @ overlaps.max(axis=1) / rows.sum())


def rand_index(table: npt.NDArray[np.int64]) -> float:
    """The share of the pairs of pixels that both segmentations join, or both separate; 1 with a single pixel.

    Its mean over annotators is the probabilistic Rand index Σ_{i<j} (c_ij p_ij + (1 − c_ij)(1 − p_ij)) / T, where c_ij
    says whether the segmentation joins two pixels, p_ij is the share of annotators who do, and T counts the pairs.
    """
    pairs = _pairs(np.array([table.sum()]))
    if not pairs:
        return 1.0
    both = _pairs(table)
    return float((pairs + 2 * both - _pairs(table.sum(axis=1)) - _pairs(table.sum(axis=0))) / pairs)


def variation_of_information(table: npt.NDArray[np.int64]) -> float:
    """The sum of both conditional entropies, H(S|S') + H(S'|S), in bits. It is symmetric, and 0 for equal regions."""
    return max(0.0, 2 * _entropy(table) - _entropy(table.sum(axis=1)) - _entropy(table.sum(axis=0)))


def _pairs(counts: npt.NDArray[np.int64]) -> int:
    """How many pairs are within groups of these sizes."""
    return int((counts * (counts - 1) // 2).sum())


def _entropy(counts: npt.NDArray[np.int64]) -> float:
    shares = counts[counts > 0] / counts.sum()
    return float(-(shares * np.log2(shares)).sum())
