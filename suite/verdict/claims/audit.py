"""The audit of a paper: do its stated differences and percentages follow from its own tables?

Printed numbers are rounded, so each represents an interval. A result computed from them is an interval, too.
Inconsistencies in a paper are reported as findings. They aren't errors of the claim file.
"""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

from suite.verdict.claims.published import Interval, Statement, Value, decimals, gain_label, table_name
from suite.verdict.claims.reader import Claims

# adds_up: the value recomputed from the printed numbers is the stated one. rounding: the stated value is possible only
# for some unrounded values. differs: no rounding explains the difference. no_values: there are no values to use.
Outcome = Literal["adds_up", "rounding", "differs", "no_values"]
NAMES: Mapping[Outcome, str] = {
    "adds_up": "adds up",
    "rounding": "only by rounding",
    "differs": "differs",
    "no_values": "not recomputed",
}


@dataclass(frozen=True)
class Finding:
    """The result of one check: a recomputed statement, or two values that should be equal.

    Args:
        id: the id of the statement, or the ids of both values.
        outcome: the result.
        text: the finding as a sentence for the reader.
    """

    id: str
    outcome: Outcome
    text: str


def audit(file: Claims) -> list[Finding]:
    """Recompute each statement of a claim file, and compare each value with other values of the same cell."""
    stated = [_recompute(statement, file.known) for statement in file.stated]
    return [*stated, *_disagreeing(file.values.values(), file.known.values())]


def _recompute(statement: Statement, known: Mapping[str, Value]) -> Finding:
    note = f" ({statement.note})" if statement.note else ""
    if not statement.references:
        return Finding(
            statement.id,
            "no_values",
            f"{statement.where}: {statement.about}, {_stated(statement)}; no values to recompute it from{note}",
        )
    if statement.of:
        outcome, text = _compared(statement, known[statement.of])
    else:
        outcome, text = _derived(statement, known[statement.baseline], known[statement.treatment])
    return Finding(statement.id, outcome, f"{statement.where}: {text}{note}")


def _compared(statement: Statement, value: Value) -> tuple[Outcome, str]:
    """Compare a value with the same quantity as stated in another place of the paper."""
    if statement.quantity == "epochs":
        same = statement.printed == str(value.epochs)
        text = f"{value.group}, {value.row}, {statement.printed} epochs are stated; the training has {value.epochs}"
    else:
        other = Interval.of(statement.printed)  # either of the two may be printed with more digits
        same = other.holds(value.interval.printed) or value.interval.holds(other.printed)
        text = f"{value.label}, {_stated(statement)}; {table_name(value.table)} has {value.printed}"
    return "adds_up" if same else "differs", text


def _derived(statement: Statement, baseline: Value, treatment: Value) -> tuple[Outcome, str]:
    """Compare a stated difference or percentage with the one computed from its two values."""
    base, treated = baseline.interval, treatment.interval
    if statement.quantity == "difference":
        found = Interval(treated.printed - base.printed, treated.low - base.high, treated.high - base.low)
    else:
        ratios = (treated.printed / base.printed, treated.low / base.high, treated.high / base.low)
        found = Interval(*(100 * (ratio - 1) for ratio in ratios))
    text = f"{gain_label(baseline, treatment)}, {_stated(statement)}; {treatment.printed} over {baseline.printed}"
    if statement.where != table_name(treatment.table):
        text += f" in {table_name(treatment.table)}"
    least, most = Interval.of(statement.printed), Interval.of(statement.up_to or statement.printed)
    claimed = Interval(least.printed, least.low, most.high)
    if claimed.holds(found.printed):
        return "adds_up", text
    places = [decimals(statement.printed)]
    if statement.quantity == "difference":
        places += [decimals(value.printed) for value in (baseline, treatment)]
    text += f" is {_decimal(found.printed, max(places), statement)}"
    if claimed.overlaps(found):
        low, high = (_decimal(end, max(places), statement) for end in (found.low, found.high))
        return "rounding", f"{text}; rounded as they are, they allow {low} to {high}"
    return "differs", text


def _stated(statement: Statement) -> str:
    printed = statement.printed if statement.up_to is None else f"{statement.printed} to {statement.up_to}"
    return f"{printed.replace('-', '−')}{_unit(statement)} is stated"


def _unit(statement: Statement) -> str:
    return " %" if statement.quantity == "percent" else ""


def _decimal(number: Fraction, places: int, statement: Statement) -> str:
    """A number in the format of the statement. Halves are rounded away from zero, as papers do."""
    whole, rest = divmod(int(abs(number) * 10**places + Fraction(1, 2)), 10**places)
    text = f"{whole}.{rest:0{places}d}" if places else str(whole)
    sign = "−" if number < 0 else "+" if statement.printed.startswith("+") else ""
    return f"{sign}{text}{_unit(statement)}"


def _disagreeing(own: Iterable[Value], known: Iterable[Value]) -> Iterator[Finding]:
    """Compare values of the same cell that are printed in several places of the paper."""
    places: dict[tuple[object, ...], list[Value]] = defaultdict(list)
    for value in known:
        places[value.identity()].append(value)
    mine = {value.id for value in own}
    for values in places.values():
        for one, other in itertools.combinations(values, 2):
            if not {one.id, other.id} & mine:
                continue
            text = f"{one.place}: {one.printed}; the same cell in {other.place}: {other.printed}"
            outcome: Outcome = "adds_up" if one.interval.overlaps(other.interval) else "differs"
            yield Finding(f"{one.id} = {other.id}", outcome, text)
