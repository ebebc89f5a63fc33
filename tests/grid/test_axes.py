"""The table of axes, and that nothing enumerates the axes beside it."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from suite.errors import InputError
from suite.grid.axes import AXES, COLUMN_ORDER, GRID_ORDER, METHODS, is_usual, level_order, unknown_level
from suite.models.architectures import resolve_architecture
from suite.models.levels import Cell, Level, Refusal, refusal
from suite.registry import Registry
from suite.store.record import AXIS_FIELDS, USUAL_LEVELS
from tests.conftest import REPOSITORY

LEVELS = [(axis, level) for axis in AXES for level in AXES[axis].levels]

# What may name three axes: the base list of records, what every model has, and an order that is stored.
ALLOWED = {
    "suite/store/record.py",
    "suite/models/model_cell.py",
    "suite/models/build.py",
    "suite/run/timing/pace.py",
    "suite/run/absent_methods.py",  # a stand-in for each kind of level
    "suite/cli/commands/new.py",  # an example of each kind of method, whose names are those of some axes
}


def test_the_orders_are_those_of_committed_records_and_tables() -> None:
    assert tuple(AXES) == AXIS_FIELDS == ("dataset", "arch", "pe", "join", "norm", "loss")
    assert GRID_ORDER == ("arch", "pe", "join", "norm", "loss", "dataset")
    assert COLUMN_ORDER == ("dataset", "arch", "pe", "norm", "loss", "join")
    assert METHODS == ("join", "norm", "loss")


@pytest.mark.parametrize(("axis", "level"), LEVELS)
def test_a_level_says_what_it_is_and_where_it_is_from(axis: str, level: str) -> None:
    found = AXES[axis].levels[level]
    assert found.name == level
    assert found.summary.strip()
    assert found.source.strip()
    assert found.summary in found.description
    assert isinstance(found, Level) or axis == "dataset"  # a data set is a pydantic model, and refuses nothing


@pytest.mark.parametrize("axis", AXES)
def test_what_the_table_names_is_registered(axis: str) -> None:
    row = AXES[axis]
    for level in (*row.references, *row.featured, *filter(None, [row.usual])):
        assert unknown_level(axis, level) is None
    assert bool(row.references) == row.method
    assert all(row.reference(level) in row.references for level in row.levels if row.method)
    assert "choose one of" in (unknown_level(axis, "nonsense") or "")
    with pytest.raises(InputError, match="unknown"):
        row.levels["nonsense"]


def test_levels_stand_in_the_order_of_registration_and_others_after_them() -> None:
    for axis, row in AXES.items():
        known = list(row.levels)
        assert sorted([*reversed(known), "zz", "aa"], key=lambda level: level_order(axis, level)) == [
            *known,
            "aa",
            "zz",
        ]
    assert level_order("recipe", "digits") == (0, "digits")
    names = [f"digits+lr={lr}+x=1" for lr in ("1e-05", "0.0005", "0.001", "2", "10")]
    assert sorted([names[3], *names[:3], names[4]], key=lambda name: level_order("recipe", name)) == names


def test_labels_leave_out_usual_levels_alone() -> None:
    assert {(axis, level) for axis, level in LEVELS if is_usual(axis, level)} == set(USUAL_LEVELS.items())
    assert not is_usual("recipe", "default")


def test_norms_are_compared_with_that_of_their_kind_of_network() -> None:
    norm = AXES["norm"]
    assert [norm.reference(level) for level in ("dtn", "bn", "l2bn", "unheard_of")] == ["ln", "ln", "bn", None]
    assert AXES["join"].reference("unheard_of") == "default"


def test_a_refusal_names_the_levels_that_fit() -> None:
    known: Registry[Level] = Registry("stem")

    class Stem(Level):
        def __init__(self, name: str, least: int) -> None:
            self.name, self.summary, self.source, self.least = name, "a stem", "nobody", least  # type: ignore[misc]

        def refuses(self, cell: Cell) -> Refusal | None:
            return Refusal(f"{self.name} is too large", "use larger images") if cell.image_size < self.least else None

    for name, least in (("small", 1), ("large", 100)):
        known.register(name, Stem(name, least))
    cell = Cell(resolve_architecture("deit_tiny"), 32, {"stem": "large"})
    error = refusal(known, cell)
    assert error is not None
    (problem,) = error.problems
    assert problem.what == "large is too large"
    assert problem.found == "arch deit_tiny with stem 'large'"
    assert problem.fix == "use larger images; or choose stem small"
    assert refusal(known, cell.having("stem", "small")) is None
    with pytest.raises(InputError, match="unknown stem"):
        refusal(known, cell.having("stem", "nonsense"))


def test_a_table_that_isnt_the_records_is_refused() -> None:
    code = "import suite.store.record as r; r.AXIS_FIELDS = (*r.AXIS_FIELDS, 'stem'); import suite.grid.axes"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=REPOSITORY, check=False)
    assert done.returncode == 1
    assert "aren't those of records" in done.stderr


def test_the_table_is_read_without_torch_and_without_any_level() -> None:
    code = (
        "import sys, suite.grid.axes; print([m for m in ('torch', 'numpy', 'suite.models.joins') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=REPOSITORY, check=True)
    assert done.stdout.strip() == "[]"


def enumerations(path: Path) -> Iterator[int]:
    """The lines of literals that name three axes or more."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        parts = (
            node.keys
            if isinstance(node, ast.Dict)
            else node.elts
            if isinstance(node, ast.Tuple | ast.List | ast.Set)
            else []
        )
        names = {part.value for part in parts if isinstance(part, ast.Constant)}
        if len(names & set(AXES)) >= 3:
            yield node.lineno


def test_nothing_else_enumerates_the_axes() -> None:
    found = [
        (str(path.relative_to(REPOSITORY)), line)
        for path in sorted((REPOSITORY / "suite").rglob("*.py"))
        for line in enumerations(path)
    ]
    assert {file for file, _ in found} == ALLOWED, found
