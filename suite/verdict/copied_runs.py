"""Refuse runs that are copies of others: they would count as further evidence and are none."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Mapping
from typing import TYPE_CHECKING, Any

from suite.errors import InputError
from suite.verdict.runs import is_missing, rows_of
from suite.verdict.stats.copies import RunTrace, find_copies

if TYPE_CHECKING:
    from suite.verdict.runs import Frame

Losses = Mapping[str, tuple[float, ...]]


def check_copies(frame: Frame, losses: Callable[[Collection[str]], Losses]) -> None:
    """Refuse runs of two seeds of a cell with the same answers and, to the last bit, the same losses in every epoch.

    Args:
        frame: as `suite.store.load_frame` gives it.
        losses: gives the training and test losses of all epochs of these trials, by trial id, as far as they are kept.
            It is called only where answers and last loss agree.

    Raises:
        InputError: there is such a run.
    """
    names = ("cell_id", "test_loss", "correct", "trial_id", "seed_index", "status", "top1")
    alike: dict[tuple[Any, ...], dict[int, tuple[str, str, float]]] = defaultdict(dict)
    for cell, loss, correct, trial_id, seed, status, top1 in rows_of(frame, names):
        if status == "done" and not is_missing(loss) and not is_missing(correct):
            alike[cell, float(loss), correct][int(seed)] = (str(trial_id), correct, float(top1))
    suspects = [group for group in alike.values() if len(group) > 1]
    if not suspects:
        return
    kept = losses({trial_id for group in suspects for trial_id, *_ in group.values()})
    for group in suspects:
        traces = {
            seed: RunTrace(correct, kept.get(trial_id), perfect=top1 == 100)
            for seed, (trial_id, correct, top1) in sorted(group.items())
        }
        for seed, first in find_copies(traces).copied.items():
            raise InputError(
                "a run is a copy of another one",
                expected="runs of two seeds, whose losses differ",
                found=f"trials {group[first][0]} (seed {first}) and {group[seed][0]} (seed {seed}), with the same "
                "answers, and the same losses in every epoch",
                where="runs.jsonl",
                fix="restore the record from version control, or delete it: the trial then runs again",
            )
