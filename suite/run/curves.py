"""Curves for TensorBoard: a folder per trial, written when its record arrives, with values per epoch.

TensorBoard's own writer writes the files, without torch. They contain only data, no pickles. Records contain the same
values. So curves can be deleted at any time, and a failure to write them doesn't affect the results.
"""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

from suite.errors import InputError
from suite.run.events import Listener
from suite.store.files import make_folder
from suite.store.record import Epoch, RunRecord
from suite.text import note


def check_curves(folder: Path) -> None:
    """Raise `InputError` if TensorBoard is not installed, or the folder can't be created."""
    if importlib.util.find_spec("tensorboard") is None:
        raise InputError(
            "TensorBoard is not installed",
            expected="the package tensorboard",
            found="none",
            where="--tensorboard",
            fix="install the suite's extra `tensorboard` beside the others: `uv sync --all-extras`",
        )
    make_folder(folder)


class Curves(Listener):
    """Writes the curves of each record to the folder when the record arrives."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._failed = folder, False

    def finished(self, record: RunRecord) -> None:
        """Write the record's curves. A failure is reported once, and doesn't stop the run."""
        try:
            write_curves(record, self._folder)
        except (OSError, InputError) as error:  # losing curves is better than losing the run
            if not self._failed:
                note(f"curves for TensorBoard can't be written any more: {error}")
            self._failed = True


def write_curves(record: RunRecord, folder: Path) -> Path | None:
    """Write a record's curves to a subfolder, replacing those of an earlier run of the trial.

    Tags: train/loss, train/learning_rate, test/top1 (percent), test/loss; with a validation split also
    validation/top1 and validation/loss. A step is an epoch, from 0.

    Returns:
        The subfolder; None if the record has no epochs.
    """
    if not record.history:
        return None
    from tensorboard.compat.proto.event_pb2 import Event
    from tensorboard.compat.proto.summary_pb2 import Summary
    from tensorboard.summary.writer.event_file_writer import EventFileWriter

    place = folder / _name(record)
    for old in place.glob("events.out.tfevents.*"):
        old.unlink()
    writer = EventFileWriter(str(place))
    at = datetime.fromisoformat(record.started_at).timestamp()
    for epoch in record.history:
        at += epoch.seconds
        values = [Summary.Value(tag=tag, simple_value=value) for tag, value in _scalars(epoch)]
        writer.add_event(Event(wall_time=at, step=epoch.epoch, summary=Summary(value=values)))
    writer.close()
    return place


def _scalars(epoch: Epoch) -> Iterator[tuple[str, float]]:
    yield "train/loss", epoch.train_loss
    yield "train/learning_rate", epoch.lr
    if epoch.top1 is not None:
        yield "test/top1", epoch.top1
    if epoch.test_loss is not None:
        yield "test/loss", epoch.test_loss
    if epoch.validation_top1 is not None:
        yield "validation/top1", epoch.validation_top1
    if epoch.validation_loss is not None:
        yield "validation/loss", epoch.validation_loss


def _name(record: RunRecord) -> str:
    levels = (record.dataset, record.arch, record.pe, record.join, record.norm, record.loss, record.recipe)
    words = "_".join([*levels, f"seed{record.seed_index}", record.trial_id])
    return re.sub(r"[^A-Za-z0-9_.+-]", "-", words).lstrip(".")
