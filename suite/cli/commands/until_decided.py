"""`lape run --until-decided`: add pairs where they decide a claim soonest, until every claim has a word."""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

from suite.cli.commands.console import open_console, print_line
from suite.cli.commands.execution import Execution
from suite.cli.commands.questions import Clock, deciding
from suite.cli.commands.run import run_grid, statuses_to_retry
from suite.grid.grid import Expansion
from suite.grid.trial import Trial
from suite.report.workspace import Workspace
from suite.run.phases import check_no_search
from suite.run.policy import Policy
from suite.store.record import RunRecord
from suite.text import duration, pair_count
from suite.train.machine import Machine
from suite.verdict.deciding import Deciding, State
from suite.verdict.paths import path_line


def run_until_decided(
    workspace: Workspace,
    execution: Execution,
    *,
    machine: Machine,
    policy: Policy,
    limit: int | None,
    retry: str,
    stale: str = "",
    hours: float | None = None,
    as_json: bool = False,
) -> bool:
    """Run pairs until every claim has a word, its largest number of pairs is reached, or the time is spent.

    Args: as `suite.cli.commands.run.run_grid`; hours: of this call, None for as many as it takes.

    Returns:
        Whether every claim has come to its end.
    """
    console = open_console()
    execution.check()
    check_no_search(workspace)
    chooses = deciding(workspace, Clock(hours, time.monotonic()))
    trials = {trial.id: trial for one in chooses.asked for seed in one.seeds for trial in one.pair(seed)}
    asked = workspace.grid.with_seeds(len(workspace.seed_order))
    extended = replace(workspace, grid=asked)
    vars(extended)["expansion"] = Expansion(tuple(_in_order(trials.values())), ())
    again = statuses_to_retry(retry)
    records = {name: one for name, one in workspace.store.records().items() if name in trials}
    states = chooses.states({name: one for name, one in records.items() if one.status not in again})
    if as_json or not all(state.end for state in states) or stale == "rerun":
        limited = _Limited(chooses, limit)
        run_grid(extended, execution, machine=machine, policy=policy, limit=None, retry=retry, stale=stale,
                 decide=limited, shown=workspace, as_json=as_json)  # fmt: skip
        records = {name: one for name, one in workspace.store.records().items() if name in trials}
        states = chooses.states(records)
    else:
        print_line(console, f"{workspace.grid.name}: nothing to run, every claim has come to its end")
    for line in [] if as_json else ending_lines(states, chooses, hours, workspace.command):
        print_line(console, line)
    return all(state.end in ("decided", "all pairs") for state in states)


def _in_order(trials: Collection[Trial]) -> list[Trial]:
    order = {seed: place for place, seed in enumerate(dict.fromkeys(trial.seed_index for trial in trials))}
    return sorted(trials, key=lambda trial: order[trial.seed_index])


class _Limited:
    """Asks for the next pair while fewer than `limit` trials were asked for."""

    def __init__(self, chooses: Deciding, limit: int | None) -> None:
        self._chooses, self._left = chooses, limit

    def __call__(self, records: Mapping[str, RunRecord], fresh: Collection[str], waiting: Collection[str]) -> list[str]:
        if self._left is not None and self._left <= 0:
            return []
        chosen = self._chooses(records, fresh, waiting)[: self._left]
        if self._left is not None:
            self._left -= len(chosen)
        return chosen


def ending_lines(states: Sequence[State], chooses: Deciding, hours: float | None, command: str) -> list[str]:
    """A line per claim: its word, and why no further pair was run."""
    found = []
    for state in states:
        claim = state.question.claim
        line = path_line(state.evidence) if state.evidence is not None else ""
        if claim.rule == "fixed" or not line:
            line = f"{pair_count(state.pairs)} of {len(state.question.seeds)}: {state.word.replace('_', ' ')}"
        if state.end == "all pairs" and claim.rule != "fixed":
            line += f"; all {len(state.question.seeds)} pairs are run"
        elif state.end == "blocked":
            line += (
                f"; its pairs end at seed {state.waits_for}, which failed: `{command} --until-decided --retry STATUS`"
            )
        elif not state.end and chooses.late and hours is not None:
            line += f"; the {duration(3600 * hours)} are spent"
        found.append(f"{claim.id}: {line}")
    return found
