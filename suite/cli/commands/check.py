"""`lape check`: validate grids and claim files."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Literal

import typer

from suite.cli.answers.answer import json_text, problem_parts
from suite.cli.answers.check import CheckAnswer, CheckedPart
from suite.cli.commands.plan_claims import foreign_metrics
from suite.errors import InputError, Problem
from suite.grid.documents import read_document
from suite.grid.expansion import matches
from suite.grid.schema import is_claim_file
from suite.grid.trial import Trial
from suite.report.workspace import open_workspace
from suite.store.files import RESULTS, real_path
from suite.store.record import AXIS_FIELDS
from suite.text import complain, counted, say
from suite.verdict.claims.audit import NAMES, audit
from suite.verdict.claims.claim import Claim, untested
from suite.verdict.claims.reader import Claims, read_claim_files


def print_checked(found: Iterable[CheckedPart], *, as_json: bool) -> None:
    """Run `lape check`: print what is valid, a line each with its notes below, or all as JSON.

    Raises:
        InputError: with all problems, after what is valid was printed; with JSON `typer.Exit` instead.
    """
    checked: list[CheckedPart] = []
    problems: InputError | None = None
    try:
        for part in found:
            checked.append(part)
            if not as_json:
                say("\n".join([f"{part.name}: {part.summary}", *(f"  {text}" for text in part.notes)]))
    except InputError as error:
        if not as_json:
            raise
        problems = error
    if not as_json:
        return
    listed = [] if problems is None else problem_parts(problems)
    say(json_text(CheckAnswer(valid=problems is None, checked=checked, problems=listed)))
    if problems is not None:
        complain(f"error: {problems}")
        raise typer.Exit(2)


def check_levels() -> Iterator[CheckedPart]:
    """Build and train each level of the loaded method files. Raises `InputError` with all problems."""
    from suite.cli.commands.check_methods import check_methods  # torch, which checking files does without
    from suite.grid.methods import loaded_files

    for line in check_methods(loaded_files()):
        yield _part("level", line)


def _part(kind: Literal["grid", "claims", "level"], line: str, notes: Iterable[str] = ()) -> CheckedPart:
    name, _, summary = line.rpartition(": ")
    return CheckedPart(kind=kind, name=name, summary=summary, notes=list(notes))


def check_files(names: Sequence[str]) -> Iterator[CheckedPart]:
    """Validate grids with their recipes and claims; validate and audit claim files.

    Yields each valid file, with its notes. A claim that the grid can't test is only a note, because
    several grids may share a claim file. An inconsistency in a paper is only a note too, because the file isn't wrong.

    Raises:
        InputError: with all problems of all files.
    """
    problems: list[Problem] = []
    grids: dict[str, Path] = {}
    claim_files: list[Path] = []
    for name in names:
        try:
            if _is_claim_file(Path(name)):
                claim_files.append(Path(name))
            else:
                line, *notes = _check_grid(name, grids)
                yield _part("grid", line, notes)
        except InputError as error:
            problems += error.problems
    try:
        for file in read_claim_files(claim_files):
            line, *notes = _audited(file)
            yield _part("claims", line, notes)
    except InputError as error:
        problems += error.problems
    if problems:
        raise InputError(problems=problems)


def _is_claim_file(path: Path) -> bool:
    return bool(path.suffix) and path.is_file() and is_claim_file(read_document(path).values.keys())


def _check_grid(name: str, grids: dict[str, Path]) -> Iterator[str]:
    """Yield a line for the grid, and its notes. `grids` maps the grid names so far to files; this grid is added."""
    workspace = open_workspace(name, (), None, RESULTS, Path("reports"))
    claims, expansion, document = workspace.claims, workspace.expansion, workspace.grid.document
    first = grids.setdefault(workspace.grid.name, document.path)
    if real_path(first) != real_path(document.path):
        raise InputError(
            f"two grids of the same name, {workspace.grid.name!r}",
            expected="a name for each grid, since its results lie in a folder of that name",
            found=f"first in {first}",
            where=document.where(("name",)),
            fix="give one of the two another name",
        )
    yield (
        f"{document.path}: {counted(len(expansion.trials), 'trial')}, "
        f"{counted(len(expansion.dropped), 'dropped cell')}, {counted(len(claims), 'claim')}"
    )
    for index, expected in enumerate(workspace.grid.file.expect):
        if not any(matches(expected.when, trial.declared_levels) for trial in expansion.trials):
            yield f"note: no cell of this grid is one of the entry in {document.where(('expect', index))}"
    for claim in untested(claims, expansion.trials):
        if claim.obstacle:
            yield f"note: the claim {claim.id!r} can't be tested: {claim.obstacle}"
        else:
            absent = _absent(claim, expansion.trials)
            yield f"note: no two cells of this grid are those of the claim {claim.id!r}{absent}"
    yield from (f"note: {text}" for text in foreign_metrics(claims, workspace.grid.file.task))


def _absent(claim: Claim, trials: Iterable[Trial]) -> str:
    """The levels of a claim that no trial has, in brackets: a typing error, or a claim for another grid."""
    asked = claim.contrast
    named = [(asked.axis, asked.baseline), (asked.axis, asked.treatment), *asked.match.items()]
    found = {(axis, level.partition("+")[0] if axis == "arch" else level)
             for trial in trials for axis, level in trial.levels.items()}  # fmt: skip
    absent = [f"{axis} {level}" for axis, level in named if axis in AXIS_FIELDS and (axis, level) not in found]
    return f" (it has no {', no '.join(absent)})" if absent else ""


def _audited(file: Claims) -> Iterator[str]:
    """Yield a line for the claim file, and one for each audited statement that doesn't clearly add up."""
    findings = audit(file)
    line = f"{file.document.path}: {counted(len(file.values), 'value')}, {counted(len(file.claims), 'claim')}"
    if findings:
        counts = Counter(finding.outcome for finding in findings)
        told = (f"{name} {counts[outcome]}" for outcome, name in NAMES.items() if counts[outcome])
        line += f", {counted(len(findings), 'statement')} ({', '.join(told)})"
    yield line
    for finding in findings:
        if finding.outcome != "adds_up":
            yield f"{NAMES[finding.outcome]}: {finding.text}"
