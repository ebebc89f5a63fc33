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

    Where no epochs were kept, the loss on the test set after the last one decides, unless all answers are right: such
    answers prove nothing. Where no answers were kept, the losses of all epochs decide.

    Args:
        frame: as `suite.store.load_frame` gives it.
        losses: gives the training and test losses of all epochs of these trials, by trial id, as far as they are kept.
            It is called only where the last loss agrees.

    Raises:
        InputError: there is such a run.
    """
    names = ("cell_id", "test_loss", "correct", "trial_id", "seed_index", "status", "top1")
    alike: dict[tuple[Any, ...], dict[int, tuple[str, str | None, float]]] = defaultdict(dict)
    for cell, loss, correct, trial_id, seed, status, top1 in rows_of(frame, names):
        if status == "done" and not is_missing(loss):
            answers = None if is_missing(correct) else str(correct)
            alike[cell, float(loss)][int(seed)] = (str(trial_id), answers, float(top1))
    suspects = {key: group for key, group in alike.items() if len(group) > 1}
    if not suspects:
        return
    kept = losses({trial_id for group in suspects.values() for trial_id, *_ in group.values()})
    for (_, last), group in suspects.items():
        traces = {
            seed: RunTrace(answers, kept.get(trial_id) or _last_alone(last, answers, top1), perfect=top1 == 100)
            for seed, (trial_id, answers, top1) in sorted(group.items())
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


def losses_of(history: Frame | None, trials: Collection[str]) -> Losses:
    """The training and test losses of all epochs of these trials, by trial id.

    Args:
        history: as `suite.store.load_history` gives it; None: there is none.
        trials: the trial ids.
    """
    found: dict[str, dict[int, list[float]]] = defaultdict(dict)
    rows = () if history is None else rows_of(history, ("trial_id", "epoch", "train_loss", "test_loss"))
    for trial_id, epoch, *losses in rows:
        if trial_id in trials:
            found[str(trial_id)][int(epoch)] = [float(loss) for loss in losses if not is_missing(loss)]
    return {
        trial_id: tuple(loss for epoch in sorted(by_epoch) for loss in by_epoch[epoch])
        for trial_id, by_epoch in found.items()
    }


def _last_alone(loss: float, answers: str | None, top1: float) -> tuple[float, ...] | None:
    return (loss,) if answers is not None and top1 < 100 else None
