"""Chooses what `lape try` trains: the last step of the ladder that fits into the time, by measured speed."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from suite.cli.trying.design import Design
from suite.cli.trying.ladder import Ladder, Step
from suite.cli.trying.question import Question
from suite.errors import InputError, nearest
from suite.grid.axes import AXES
from suite.grid.trial import Trial
from suite.models.architectures import ARCHITECTURES
from suite.run.timing.estimate import estimate
from suite.run.timing.forecast import Measured
from suite.run.timing.pace import Pace
from suite.store.record import USUAL_LEVELS
from suite.text import duration
from suite.verdict.stats.sequential import FIRST_LOOK

_RESERVE = 0.9  # the share of the time that training may take; the rest is for tables, figures and slower pairs
# The levels that both sides share: the usual ones, and what differs for convolutional networks, or without tokens to
# give a position. The first that the architecture and the method can have are taken.
_OTHERS: tuple[dict[str, str], ...] = ({"pe": "learnable"}, {"pe": "none"}, {"pe": "none", "norm": "bn"})
_SHARED = tuple({**USUAL_LEVELS, "join": AXES["join"].references[0], **other} for other in _OTHERS)


@dataclass(frozen=True)
class Choice:
    """What is trained. pair_seconds: of one pair, one trial after the other; measured: the speeds that say so."""

    design: Design
    pair_seconds: float
    measured: Measured


def choose(
    question: Question,
    ladder: Ladder,
    steps: Sequence[Step],
    measure: Callable[[Sequence[Trial]], Measured],
    seconds_left: Callable[[], float],
    at_once: int,
) -> Choice:
    """Choose a step, an epoch count and a largest number of pairs.

    The steps are measured from the cheapest on, until one is too expensive.

    Args:
        question: what is asked.
        ladder: the ladder.
        steps: those of its steps whose data are prepared.
        measure: measures a few training steps of trials.
        seconds_left: how much of the time is left.
        at_once: trials that run at a time.

    Raises:
        InputError: no step can have the method, or the time is too short for the fewest pairs that are ever tested.
    """
    found: list[tuple[Design, float]] = []
    paces: list[Pace] = []
    last: Measured | None = None
    for designs in _possible(question, ladder, steps):
        sides = designs[0].sides()
        last = measure(sides)
        paces += last.paces
        found += [(design, pair_seconds(design, paces)) for design in designs]
        if _fitting(found[-len(designs)][1], seconds_left(), at_once) < ladder.wanted_pairs:
            break  # the next ones take longer
    if last is None:  # pragma: no cover: `_possible` raises where nothing is possible
        raise RuntimeError("nothing was measured")
    left = seconds_left()
    wanted = [one for one in found if _fitting(one[1], left, at_once) >= ladder.wanted_pairs]
    design, seconds = wanted[-1] if wanted else found[0]
    pairs = min(_fitting(seconds, left, at_once), ladder.most_pairs)
    if pairs < FIRST_LOOK:
        raise _too_short(question, design, seconds, left, at_once)
    return Choice(replace(design, pairs=pairs), seconds, replace(last, paces=paces))


def pair_seconds(design: Design, paces: Sequence[Pace]) -> float:
    """What a pair takes, by paces that were measured of its kind."""
    sides = design.sides()
    found = estimate(sides, paces)
    return sum(found.trial_seconds(trial) or math.nan for trial in sides)


def _fitting(seconds: float, left: float, at_once: int) -> int:
    return max(int(_RESERVE * left * at_once / seconds), 0)


def _possible(question: Question, ladder: Ladder, steps: Sequence[Step]) -> Iterator[list[Design]]:
    """For each step that can have the method, its designs, one for each number of epochs.

    Raises:
        InputError: no step can have it; the first reason is told.
    """
    reasons: dict[str, None] = {}  # an ordered set
    any_found = False
    for step in steps:
        for arch in _architectures(question, ladder, step):
            tried = [_designs(question, ladder, step, arch, levels) for levels in _SHARED]
            errors = [one for one in tried if isinstance(one, InputError)]
            reasons |= {problem.what: None for error in errors for problem in error.problems}
            fitting = next((one for one in tried if not isinstance(one, InputError)), None)
            if fitting is not None:
                any_found = True
                yield fitting
                break
    if not any_found:
        raise _unfit(question, list(reasons)) if reasons else _no_architecture(question, ladder, steps)


def _designs(
    question: Question, ladder: Ladder, step: Step, arch: str, levels: dict[str, str]
) -> list[Design] | InputError:
    designs = [Design(question, ladder, step, arch, levels, epochs) for epochs in step.epochs]
    try:
        designs[0].sides()
    except InputError as error:
        return error
    return designs


def _architectures(question: Question, ladder: Ladder, step: Step) -> list[str]:
    """The architectures of a step that --arch allows; a built-in one need not stand in the ladder."""
    if question.arch is None:
        return step.arch
    named = [arch for arch in step.arch if question.arch in (arch, _family(ladder, arch))]
    return named or ([question.arch] if question.arch in AXES["arch"].levels else [])


def _family(ladder: Ladder, arch: str) -> str:
    own = ladder.architectures.get(arch)
    return str(own["family"]) if own is not None and "family" in own else ARCHITECTURES[arch].family.name


def _unfit(question: Question, reasons: Sequence[str]) -> InputError:
    named = [reason for reason in reasons if repr(question.method) in reason]
    return InputError(
        f"no architecture here can have both {question.baseline} and {question.method}",
        expected="an architecture of the ladder, or that of --arch, which can have both",
        found="; ".join((named or reasons)[:3]),
        where=question.command + (f" --arch {question.arch}" if question.arch else ""),
        fix="give another --arch, another baseline by --over, other data by --data, or what the method needs of the "
        "recipe by --set recipe.KEY=VALUE",
    )


def _no_architecture(question: Question, ladder: Ladder, steps: Sequence[Step]) -> InputError:
    names = list(dict.fromkeys(arch for step in steps for arch in step.arch))
    known = list(dict.fromkeys([*names, *(_family(ladder, arch) for arch in names)]))
    return InputError(
        f"unknown architecture {question.arch!r}",
        expected=f"one of the ladder's ({', '.join(known)}), or of `lape ls archs`",
        found=repr(question.arch),
        where=f"--arch {question.arch}",
        fix=nearest(str(question.arch), dict.fromkeys([*known, *AXES["arch"].levels])),
    )


def _too_short(question: Question, design: Design, seconds: float, left: float, at_once: int) -> InputError:
    needed = (FIRST_LOOK * seconds / at_once / _RESERVE) / 3600
    return InputError(
        "the time is too short for the fewest pairs that are ever tested",
        expected=f"time for {FIRST_LOOK} pairs of training runs: {design.summary}, {duration(seconds)} a pair",
        found=f"{duration(max(left, 0))} left of --hours after the speed was measured",
        where=question.command,
        fix=f"give --hours {math.ceil(100 * (needed + 0.01)) / 100:g} or more",
    )
