"""Curves for TensorBoard: of each trial, as its record arrives, a folder with what it came to epoch by epoch.

Written by TensorBoard's own writer, without torch; data only, no pickles. The records have all of it, so that curves
can be deleted at any time, and those that can't be written are missed by nobody but TensorBoard.
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
    """Raise `InputError` if there is no TensorBoard here, or the folder can't be written."""
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
    """Writes the curves of each record below the folder, as it arrives."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._failed = folder, False

    def finished(self, record: RunRecord) -> None:
        """Its epochs are known now."""
        try:
            write_curves(record, self._folder)
        except (OSError, InputError) as error:  # the run is worth more
            if not self._failed:
                note(f"curves for TensorBoard can't be written any more: {error}")
            self._failed = True


def write_curves(record: RunRecord, folder: Path) -> Path | None:
    """Write a record's epochs below the folder, in place of those of the run before; None if it has none.

    Tags: train/loss, train/learning_rate, test/top1 (percent), test/loss; a step is an epoch, from 0.
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


def _name(record: RunRecord) -> str:
    levels = (record.dataset, record.arch, record.pe, record.join, record.norm, record.loss, record.recipe)
    words = "_".join([*levels, f"seed{record.seed_index}", record.trial_id])
    return re.sub(r"[^A-Za-z0-9_.+-]", "-", words).lstrip(".")
