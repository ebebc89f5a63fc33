"""`lape try`: one command from a method and a number of hours to a verdict."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import mkdtemp

from suite.cli.answers.answer import json_text
from suite.cli.answers.trying import try_answer
from suite.cli.commands.console import open_console, print_line
from suite.cli.commands.execution import Execution
from suite.cli.commands.until_decided import run_until_decided
from suite.cli.trying.choosing import Choice, choose
from suite.cli.trying.design import Design
from suite.cli.trying.ladder import load_ladder, usable_steps
from suite.cli.trying.question import Question
from suite.cli.trying.telling import Told, tell
from suite.data.cache import open_root, verify
from suite.errors import InputError
from suite.grid.shipped import HERE
from suite.grid.trial import Trial
from suite.report.workspace import Workspace, open_workspace
from suite.run.policy import Policy
from suite.run.timing.estimate import workers_here
from suite.run.timing.forecast import Measured
from suite.store.files import cannot_write, make_folder, write_texts
from suite.text import duration, say
from suite.train.machine import Machine


@dataclass(frozen=True)
class Folders:
    """Where grids' results and reports are."""

    results: Path
    reports: Path


def try_method(
    question: Question, hours: float, execution: Execution, machine: Machine, folders: Folders, *, as_json: bool
) -> bool:
    """Choose an experiment, unless its files are there already; run it until it is decided; tell what came of it.

    Args:
        question: what is asked.
        hours: of this call.
        execution: how trials are run.
        machine: how this machine is used.
        folders: where results and reports go.
        as_json: print JSON alone.

    Returns:
        Whether the claim has a word, or all its pairs.

    Raises:
        InputError: the method, the data or the architecture can't be used, the time is too short, or the folder holds
            the files of another question.
    """
    begun = time.monotonic()
    execution.check()
    machine = replace(machine, data_root=open_root(machine.data_root))
    with _apart(as_json):
        workspace = _workspace(question, folders)
        if workspace is None:
            choice = _chosen(question, hours, execution, machine, begun)
            _write(choice.design)
            workspace = _workspace(question, folders)
            assert workspace is not None
            make_folder(workspace.store.folder)
            choice.measured.write(workspace.store.folder)
            for line in _choice_lines(choice, execution):
                print_line(open_console(), line)
        else:
            print_line(open_console(), f"goes on with {_grid_file(question)}, which was written before")
        left = hours - (time.monotonic() - begun) / 3600
        ended = run_until_decided(
            workspace, execution, machine=machine, policy=Policy(), limit=None, retry="", hours=max(left, 1e-6)
        )
    told = tell(replace(workspace), question, hours)  # a copy, which reads the records anew
    if as_json:
        say(json_text(try_answer(told), indent=1))
    else:
        _print(told)
    return ended


@contextmanager
def _apart(as_json: bool) -> Iterator[None]:
    """With --json, what a run prints goes to standard error."""
    if not as_json:
        yield
        return
    with redirect_stdout(sys.stderr):
        yield


def _grid_file(question: Question) -> Path:
    return HERE / question.name / f"{question.name}.yaml"


def _workspace(question: Question, folders: Folders) -> Workspace | None:
    """The grid that an earlier call wrote; None if there is none.

    Raises:
        InputError: the folder is there and holds something else.
    """
    file = _grid_file(question)
    if not file.parent.exists():
        return None
    workspace = open_workspace(str(file), [], None, folders.results, folders.reports)
    claims = workspace.claims
    asked = (question.axis, question.baseline, question.method)
    found = [(one.contrast.axis, one.contrast.baseline, one.contrast.treatment) for one in claims]
    gains = [None if one.any_size else one.claimed_gain for one in claims]
    if found != [asked] or gains != [question.claim] or claims[0].max_pairs is None:
        raise InputError(
            "the folder holds another question",
            expected=f"one claim, of {question.method} over {question.baseline}, with a largest number of pairs",
            found="; ".join(f"{one.title}, claimed gain {one.claimed_gain:g}" for one in claims) or "no claim",
            where=str(file.parent),
            fix="give this trial another name by --name, or move the folder away: nothing in it was changed",
        )
    return workspace


def _chosen(question: Question, hours: float, execution: Execution, machine: Machine, begun: float) -> Choice:
    from suite.run.timing.calibration import calibrate, calibrate_here  # torch

    ladder = load_ladder()
    root = open_root(machine.data_root)
    steps = usable_steps(ladder, question.data, root)
    at_once = trials_at_once(execution, machine)

    def measure(sides: Sequence[Trial]) -> Measured:
        verify(sides[0].dataset, root)
        return calibrate_here(sides, machine) if at_once == 1 else calibrate(sides, machine, at_once, rounds=2)

    return choose(question, ladder, steps, measure, lambda: 3600 * hours - (time.monotonic() - begun), at_once)


def trials_at_once(execution: Execution, machine: Machine) -> int:
    """How many trials will run at a time on this machine."""
    if execution.executor == "serial":
        return 1
    if machine.torch_device().type == "cpu":
        room = workers_here(machine.threads)
    else:
        import torch

        room = torch.cuda.device_count()
    return min(room, execution.at_once or room)


def _write(design: Design) -> None:
    """Write grid and claim as one folder, which is there as a whole or not at all."""
    folder = HERE / design.question.name
    make_folder(folder.parent)
    try:
        hidden = Path(mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
        hidden.chmod(0o755)
        write_texts(design.files, hidden)
        hidden.rename(folder)
    except OSError as error:
        raise cannot_write(folder, error) from error


def _choice_lines(choice: Choice, execution: Execution) -> Iterator[str]:
    design = choice.design
    yield f"{design.question.method} over {design.question.baseline}: {design.summary}; at most {design.pairs} pairs"
    at_once = "" if execution.executor == "serial" else ", one trial after the other"
    yield f"  a pair takes about {duration(choice.pair_seconds)}{at_once}, as just measured"
    if (warning := choice.measured.warning) is not None:
        yield f"  {warning}"
    for name in design.files:
        yield f"  written: {HERE / design.question.name / name}"


def _print(told: Told) -> None:
    console = open_console()
    for line in told.lines():
        print_line(console, line)
