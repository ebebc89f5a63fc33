"""The phases of a run of a grid with `choose`: the search, then the training runs at the chosen levels."""

from __future__ import annotations

from dataclasses import replace
from typing import TypeVar

from suite.errors import InputError
from suite.run.opened_grid import OpenGrid
from suite.run.plan import Plan, make_plan

G = TypeVar("G", bound=OpenGrid)


def next_phase(ended: G, plan: Plan) -> G | None:
    """The grid with what its records have chosen meanwhile; None if there is nothing more to run.

    Args:
        ended: the grid, as it was when its last phase began.
        plan: the trials of that phase by state, after it.
    """
    if plan.to_do or not ended.choices:
        return None
    fresh = replace(ended)  # a copy, which reads the records anew
    return fresh if fresh.runnable.ids - ended.runnable.ids else None


def whole_plan(opened: OpenGrid, plan: Plan) -> Plan:
    """The plan of all phases, in which what isn't decided is to do. plan: of the last phase."""
    if not opened.choices:
        return plan
    fresh = replace(opened)
    return make_plan(fresh.expansion, fresh.store.records())


def check_no_search(opened: OpenGrid) -> None:
    """Raise `InputError` if the grid has `choose`: deciding pair by pair knows no search."""
    if opened.grid.file.choose is not None:
        raise InputError(
            "a grid with `choose` can't be run until it is decided",
            expected="a grid without `choose`",
            found=f"choose: {opened.grid.file.choose.axis}",
            where=opened.grid.document.where(("choose",)),
            fix="run it without --until-decided: it searches first, and then trains all seeds at the chosen levels",
        )
