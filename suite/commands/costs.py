"""`lape cost`: what models cost, counted."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from suite.commands.overview import open_console
from suite.errors import InputError
from suite.grid.grid import load_grid
from suite.models.architectures import Architecture, resolve_architecture
from suite.models.costs.counting import Cost, Impossible, count_costs, product
from suite.models.joins import JOINS
from suite.models.model_cell import ModelCell, Shape
from suite.models.norms import NORMS
from suite.models.positions import POSITIONS
from suite.report.tables.render import open_table
from suite.store.files import write_atomic

Record = dict[str, str | int | float | None]
WIDTH = 150  # columns of the tables where the output is no terminal


def grid_cells(grid: str, overrides: Sequence[str]) -> list[ModelCell | Impossible]:
    """The models of a grid's cells, and the cells that were dropped."""
    expansion = load_grid(grid, overrides).expand()
    dropped = (Impossible(cell.label, cell.reason) for cell in expansion.dropped)
    return [*(trial.model for trial in expansion.trials), *dropped]


def listed_cells(
    archs: Sequence[str],
    sizes: Sequence[str],
    pes: Sequence[str],
    joins: Sequence[str],
    norms: Sequence[str],
    shape: Shape,
) -> list[ModelCell | Impossible]:
    """The models of all combinations, and the combinations that no model has; raises `InputError`."""
    for option, known, names in (("--pe", POSITIONS, pes), ("--join", JOINS, joins), ("--norm", NORMS, norms)):
        check_names(option, known, names)
    return list(product([chosen_architecture(arch, sizes) for arch in archs], pes, joins, norms, shape))


def possible(cells: Iterable[ModelCell | Impossible], *, expected: str, where: str, fix: str) -> list[ModelCell]:
    """The cells, of which all must be possible; raises `InputError` in these words for the first that isn't."""
    found = []
    for cell in cells:
        if isinstance(cell, Impossible):
            fixes = "; or ".join(filter(None, (cell.fix, fix)))
            raise InputError(cell.reason, expected=expected, found=cell.label, where=where, fix=fixes)
        found.append(cell)
    return found


def usual_pe(architecture: Architecture) -> str:
    """What is measured where no position embedding is named: a learned one, if there are tokens to have it."""
    return "none" if architecture.size.width is None else "learnable"


def check_names(option: str, known: Mapping[str, Any], names: Iterable[str]) -> None:
    """Raise `InputError`, which names the option, for a name that isn't known."""
    for name in names:
        try:
            known[name]
        except InputError as error:
            raise error.at(f"{option} {name}") from None


def chosen_architecture(name: str, sizes: Sequence[str]) -> Architecture:
    """A named architecture, or a family, with its sizes as `key=value`; raises `InputError`."""
    where = " ".join([f"--arch {name}", *(f"--size {size}" for size in sizes)])
    try:
        return resolve_architecture(name, dict(_size(assignment) for assignment in sizes))
    except InputError as error:
        raise error.at(where) from None


def _size(assignment: str) -> tuple[str, Any]:
    key, equals, text = assignment.partition("=")
    try:
        value = json.loads(text)  # numbers and booleans, which is all that sizes are
    except ValueError:
        value = None
    if not (equals and key and isinstance(value, int | float)):
        raise InputError(
            "a size must have a key and a value",
            expected="KEY=VALUE, the value a number, true or false",
            found=repr(assignment),
            where=f"--size {assignment}",
            fix="for instance --size embed_dim=32",
        )
    return key, value


def print_costs(cells: Sequence[ModelCell | Impossible], target: str | None) -> None:
    """`lape cost`. target: where the CSV goes, if anywhere; "-" prints it instead of the table."""
    impossible = [cell for cell in cells if isinstance(cell, Impossible)]
    costs = count_costs(cell for cell in cells if isinstance(cell, ModelCell))
    if not costs:
        raise InputError(
            "no combination is possible",
            expected="at least one model",
            found="; ".join(f"{cell.label}: {cell.reason}" for cell in impossible),
            where="the product of the options",
            fix="change an option",
        )
    console = open_console(WIDTH)
    put(console, _cost_table(costs), [_cost_record(cost) for cost in costs], target)
    notes = Console(stderr=True, soft_wrap=True) if target == "-" else console
    for cell in impossible:
        notes.print(f"not possible: {cell.label}: {cell.reason}", highlight=False, markup=False, soft_wrap=True)


def put(console: Console, table: Table, records: Sequence[Record], target: str | None) -> None:
    """Print the table, or the CSV in its place; write the CSV where it is to go."""
    if target == "-":
        print(_csv(records), end="")
        return
    console.print(table)
    if target is not None:
        write_atomic(Path(target), _csv(records).encode())
        console.print(target, highlight=False, markup=False, soft_wrap=True)


def _csv(records: Sequence[Record]) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, list(records[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(records)
    return text.getvalue()


def _numbers(cost: Cost) -> dict[str, int]:
    parameters, forward = cost.parameters, cost.forward
    return {
        "params": parameters.total,
        "trainable": parameters.trainable,
        "pe_params": parameters.position,
        "macs": forward.macs,
        "activations": forward.activations,
    }


_HEADS = {
    "params": "Params",
    "trainable": "Trainable",
    "pe_params": "PE params",
    "macs": "MACs",
    "activations": "Activations",
}


def _cost_record(cost: Cost) -> Record:
    numbers = _numbers(cost)
    added = {f"{name}_added": difference for name, difference in _added(cost).items()}
    return {**cell_record(cost.cell), **numbers, **added}


def cell_record(cell: ModelCell) -> Record:
    """The columns of a CSV that say which model it is."""
    levels = {"arch": cell.arch.name, "pe": cell.pe, "join": cell.join, "norm": cell.norm}
    return {**levels, **asdict(cell.shape)}


def _added(cost: Cost) -> dict[str, int | None]:
    """What each number is above that of the default joining; None where that is no other model of the list."""
    if cost.baseline is None:
        return dict.fromkeys(_HEADS)
    default = _numbers(cost.baseline)
    return {name: value - default[name] for name, value in _numbers(cost).items()}


def _cost_table(costs: Sequence[Cost]) -> Table:
    shapes, norms = {cost.cell.shape for cost in costs}, {cost.cell.norm for cost in costs}
    shown = [
        name
        for name in _HEADS
        if name != "trainable" or any(cost.parameters.trainable != cost.parameters.total for cost in costs)
    ]
    compared = {name for name in ("params", "macs", "activations") if any(_added(cost)[name] for cost in costs)}
    table = open_table(
        title=str(next(iter(shapes))) if len(shapes) == 1 else "",
        caption="MACs and activations: of a forward of one image. In brackets: what the join, or else the norm, adds.",
    )
    for head in ("Architecture", *(["Data"] if len(shapes) > 1 else []), "PE", *(["Norm"] * (len(norms) > 1)), "Join"):
        table.add_column(head, no_wrap=True)
    for name in shown:
        table.add_column(_HEADS[name], justify="right", no_wrap=True)
        if name in compared:
            table.add_column("", no_wrap=True)
    for cost in costs:
        cell, numbers, added = cost.cell, _numbers(cost), _added(cost)
        texts = [cell.arch.name, *([str(cell.shape)] if len(shapes) > 1 else []), cell.pe]
        texts += [*([cell.norm] * (len(norms) > 1)), cell.join]
        for name in shown:
            texts.append(f"{numbers[name]:,}")
            if name in compared:
                texts.append(_added_text(added[name], numbers[name]))
        table.add_row(*map(Text, texts))
    return table


def _added_text(added: int | None, value: int) -> str:
    """(+4,608, +0.08 %)."""
    return "" if not added else f"({added:+,}, {100 * added / (value - added):+.2f} %)".replace("-", "−")
