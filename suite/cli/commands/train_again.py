"""Training one trial again, for `lape rerun` and `lape run --stale verify`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from suite.errors import InputError, reason_line
from suite.grid.trial import Trial
from suite.store.record import RunRecord
from suite.train.faults import MachineFault
from suite.train.machine import Machine

if TYPE_CHECKING:
    from suite.models.model import Model


def train_again(trial: Trial, machine: Machine) -> tuple[RunRecord, Model | None]:
    """Train a trial on this machine, in this process: its record, and its model if it is done.

    Raises:
        InputError: it failed from an infrastructure error.
    """
    from suite.train.trials import train_trials

    try:
        ((record, model),) = train_trials([trial], machine)
    except MachineFault as fault:
        raise InputError(
            "the machine failed, not the trial",
            expected="a device, a disk and a network that work",
            found=reason_line(fault.reason),
            where=str(fault.node),
            fix="run the same command again, here or on another machine",
        ) from None
    return record, model
