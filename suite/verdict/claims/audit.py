"""The audit of a paper: do its stated differences and percentages follow from its own tables?

Printed numbers are rounded, so each stands for an interval, and what follows from them is one, too. A paper's
inconsistencies are findings, not errors of the file that registers them.
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

# adds_up: recomputed from what is printed, it is what is stated. rounding: only if the printed numbers were rounded
# just so. differs: by no rounding. no_values: there is nothing to recompute it from.
Outcome = Literal["adds_up", "rounding", "differs", "no_values"]
NAMES: Mapping[Outcome, str] = {
    "adds_up": "adds up",
    "rounding": "only by rounding",
    "differs": "differs",
    "no_values": "not recomputed",
}


@dataclass(frozen=True)
class Finding:
    """A statement, or two values that should agree, and what comes of recomputing it; `text` is for people."""

    id: str
    outcome: Outcome
    text: str


def audit(file: Claims) -> list[Finding]:
    """Recompute all that a claim file states, and compare its values with those of the same cell elsewhere."""
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
    """A value with what another place says of it."""
    if statement.quantity == "epochs":
        same = statement.printed == str(value.epochs)
        text = f"{value.group}, {value.row}, {statement.printed} epochs are stated; the training has {value.epochs}"
    else:
        other = Interval.of(statement.printed)  # either may have more digits
        same = other.holds(value.interval.printed) or value.interval.holds(other.printed)
        text = f"{value.label}, {_stated(statement)}; {table_name(value.table)} has {value.printed}"
    return "adds_up" if same else "differs", text


def _derived(statement: Statement, baseline: Value, treatment: Value) -> tuple[Outcome, str]:
    """A difference or a percentage with what follows from its two values."""
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
    """A number in the form of a stated one, with halves away from zero, as papers round."""
    whole, rest = divmod(int(abs(number) * 10**places + Fraction(1, 2)), 10**places)
    text = f"{whole}.{rest:0{places}d}" if places else str(whole)
    sign = "−" if number < 0 else "+" if statement.printed.startswith("+") else ""
    return f"{sign}{text}{_unit(statement)}"


def _disagreeing(own: Iterable[Value], known: Iterable[Value]) -> Iterator[Finding]:
    """Values of one cell that stand in several places, and differ by more than rounding."""
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
