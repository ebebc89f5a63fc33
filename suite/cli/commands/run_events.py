"""The events of a run as lines of JSON, for `lape run --json`."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from suite.cli.answers.answer import json_text
from suite.cli.answers.plan import trial_counts
from suite.cli.answers.run import ClaimWord, Delayed, Ended, Event, Finished, Planned, Progressed, Skipped, Started
from suite.cli.commands.report import write_report
from suite.errors import reason_line
from suite.grid.trial import Trial
from suite.report.workspace import Workspace
from suite.run.events import Listener
from suite.run.plan import Plan
from suite.run.timing.estimate import Estimate
from suite.store.beats import Beat
from suite.store.record import RunRecord, run_name
from suite.text import say
from suite.train.faults import MachineFault


class EventStream(Listener):
    """Prints each event of a run as one line of JSON."""

    def __init__(self) -> None:
        self._labels: dict[str, str] = {}  # of the trials that were started

    def planned(self, grid: str, plan: Plan, now: int, expected: Estimate) -> None:
        """The run begins, and will train `now` trials."""
        seconds = expected.wall if expected.known else None
        _tell(Planned(at=_now(), grid=grid, trials=trial_counts(plan), now=now, seconds=seconds))

    def started(self, trial: Trial) -> None:
        """Print the event."""
        self._labels[trial.id] = trial.name
        _tell(Started(at=_now(), trial_id=trial.id, label=trial.label))

    def progressed(self, beat: Beat) -> None:
        """Print the event."""
        speed = beat.images_per_second
        _tell(Progressed(at=_now(), trial_id=beat.trial_id, share=beat.share, images_per_second=speed))

    def finished(self, record: RunRecord) -> None:
        """Print the event."""
        _tell(
            Finished(
                at=_now(),
                trial_id=record.trial_id,
                label=self._labels.get(record.trial_id) or run_name(vars(record), record.seed_index),
                status=record.status,
                top1=record.top1,
                epochs=record.epochs,
                train_seconds=record.train_seconds,
                error=reason_line(record.error) if record.error else "",
            )
        )

    def delayed(self, trial: Trial, fault: MachineFault, seconds: float) -> None:
        """Print the event."""
        reason = reason_line(fault.reason)
        _tell(Delayed(at=_now(), trial_id=trial.id, label=trial.label, reason=reason, seconds=seconds))

    def skipped(self, trials: Sequence[Trial], reason: str) -> None:
        """Print the event."""
        _tell(Skipped(at=_now(), trial_ids=[trial.id for trial in trials], reason=reason))

    def ended(self, workspace: Workspace, plan: Plan, notes: Sequence[str]) -> None:
        """Write the report, and print what the run came to.

        Args:
            workspace: the grid with all its records.
            plan: its trials after the run.
            notes: what else is to be said.
        """
        words = [
            ClaimWord(claim=verdict.claim.id, word=verdict.word, provisional=verdict.provisional)
            for verdict in workspace.verdicts
        ]
        _tell(
            Ended(
                at=_now(),
                grid=workspace.grid.name,
                complete=len(plan.done) == plan.total,
                trials=trial_counts(plan),
                verdicts=words,
                report=write_report(workspace),
                notes=list(notes),
            )
        )


def _tell(event: Event) -> None:
    say(json_text(event))


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
