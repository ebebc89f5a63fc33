"""Runs and claims whose truth is known, as `suite.verdict.judge` takes them, without any training.

Shared by the parts of `benchmarks.known_truth`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from suite.store.canonical import derive_seed
from suite.store.record import USUAL_LEVELS
from suite.verdict.claims.claim import Claim
from suite.verdict.stats.sequential import FIRST_LOOK
from suite.verdict.verdicts import Verdict, judge

Floats = npt.NDArray[np.float64]

FAMILY, LARGEST, ALPHA = 10, 20, 0.05
BATCH = 100  # claims that are judged together
CLAIMED, MARGIN = 1.0, 0.5  # points, of the claims that `claims` makes
GAIN_WORDS = ("confirmed", "direction_only")


def random_numbers(*parts: float | str) -> np.random.Generator:
    """A generator of its own for each figure, so that one figure doesn't change another."""
    return np.random.default_rng(derive_seed("known truth", *parts))


def frame(gains: Floats, first: int = 0) -> dict[str, list[Any]]:
    """The runs of many claims as columns of `suite.store.load_frame`, without answers to single images.

    Args:
        gains: [claims, pairs].
        first: the number of the first claim.
    """
    claims, pairs = gains.shape
    rows = [(claim, seed, side) for claim in range(claims) for seed in range(pairs) for side in (0, 1)]
    size = len(rows)
    base = [50.0 + 0.1 * (seed % 7) for seed in range(pairs)]
    top1 = [base[seed] + side * float(gains[claim, seed]) for claim, seed, side in rows]
    constant: dict[str, Any] = {
        "grid": "known_truth", "status": "done", "dataset": "simulated", "pe": "learnable", **USUAL_LEVELS,
        "recipe": "simulated", "recipe_id": "simulated", "epochs": 1, "test_images": None, "correct": None,
        "test_loss": None, "environment": "simulated", "error": None, "diverged_step": None, "params": None,
        "macs": None, "train_seconds": None, "images_per_second": None, "peak_memory_mb": None, "started_at": "",
    }  # fmt: skip
    return {
        **{name: [value] * size for name, value in constant.items()},
        "arch": [f"a{first + claim}" for claim, _, _ in rows],
        "join": ["lape" if side else "default" for _, _, side in rows],
        "seed_index": [seed for _, seed, _ in rows],
        "cell_id": [f"{claim}-{side}" for claim, _, side in rows],
        "trial_id": [f"{claim}-{side}-{seed}" for claim, seed, side in rows],
        "top1": top1,
        "top1_best_epoch": top1,
    }


def claims(number: int, family: int = 1, *, most: int | None = LARGEST, gain: float = CLAIMED) -> list[Claim]:
    """Claims of the cells of `frame`, as if the paper's gain were exact; so many to a family."""
    margin = MARGIN * gain
    return [
        Claim.model_validate(
            {
                "id": f"c{place}", "paper": "none", "version": "none", "table": str(place // family), "row": "any",
                "kind": "published", "published_runs": 1_000_000, "claimed_gain": gain, "margin": margin,
                "alpha": ALPHA, "max_pairs": most, "family": str(place // family), "family_size": family,
                "contrast": {"axis": "join", "baseline": "default", "treatment": "lape",
                             "match": {"arch": f"a{place}"}},
            }
        )
        for place in range(number)
    ]  # fmt: skip


def judged(gains: Floats, asked: Sequence[Claim]) -> list[Verdict]:
    """The verdicts on all claims. Their families are fixed: they may be judged a few at a time, which is faster.

    Args:
        gains: [claims, pairs].
        asked: the claims, one for each row.
    """
    batches = range(0, len(asked), BATCH)
    return [
        verdict
        for first in batches
        for verdict in judge(frame(gains[first : first + BATCH], first), asked[first : first + BATCH])
    ]


def looks(gains: Floats, asked: Sequence[Claim]) -> Iterator[tuple[int, list[Verdict]]]:
    """The verdicts on all claims after each of their pairs, from the first look that can decide anything."""
    for pairs in range(FIRST_LOOK, gains.shape[1] + 1):
        yield pairs, judged(gains[:, :pairs], asked)
