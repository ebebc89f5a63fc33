"""`lape cost`: counts of parameters, MACs and activations of models."""

from __future__ import annotations

from collections.abc import Sequence

from rich.table import Table
from rich.text import Text

from suite.cli.answers.answer import json_text
from suite.cli.answers.cost import CostAnswer, CostPart
from suite.cli.answers.plan import DroppedPart
from suite.cli.commands.console import WIDTH, Record, open_console, put
from suite.cli.commands.model_options import cell_record
from suite.errors import InputError
from suite.grid.grid import load_grid
from suite.models.costs.counting import Cost, Impossible, count_costs
from suite.models.model_cell import ModelCell
from suite.report.tables.terminal import open_table
from suite.text import say


def grid_cells(grid: str, overrides: Sequence[str]) -> list[ModelCell | Impossible]:
    """Return the models of a grid's cells, and the dropped cells as `Impossible`."""
    expansion = load_grid(grid, overrides).expand()
    dropped = (Impossible(cell.label, cell.reason) for cell in expansion.dropped)
    return [*(trial.model for trial in expansion.trials), *dropped]


def print_costs(cells: Sequence[ModelCell | Impossible], target: str | None, *, as_json: bool = False) -> None:
    """Run `lape cost`: print the table of costs, and the combinations that are impossible.

    Args:
        cells: the models, and the combinations that are impossible.
        target: the CSV file, if any; "-" prints the CSV instead of the table.
        as_json: print JSON instead.

    Raises:
        InputError: no combination is possible.
    """
    impossible = [cell for cell in cells if isinstance(cell, Impossible)]
    costs = count_costs(cell for cell in cells if isinstance(cell, ModelCell))
    if not costs:
        raise InputError(
            "no combination is possible",
            expected="at least one model",
            found="; ".join(f"{cell.label}: {cell.reason}" for cell in impossible),
            where="the product of the options",
            fix="; or ".join(dict.fromkeys(cell.fix for cell in impossible if cell.fix)) or "change an option",
        )
    if as_json:
        models = [CostPart.model_validate(_cost_record(cost)) for cost in costs]
        listed = [DroppedPart(cell=cell.label, reason=cell.reason) for cell in impossible]
        say(json_text(CostAnswer(models=models, impossible=listed), indent=1))
        return
    console = open_console(WIDTH)
    put(console, _cost_table(costs), [_cost_record(cost) for cost in costs], target)
    notes = open_console(stderr=True) if target == "-" else console
    for cell in impossible:
        notes.print(f"not possible: {cell.label}: {cell.reason}", highlight=False, markup=False, soft_wrap=True)


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


def _added(cost: Cost) -> dict[str, int | None]:
    """Return each number's difference from the baseline model, or None if the list has no baseline for this model."""
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
    """Format a difference and its percentage of the baseline, for example "(+4,608, +0.08 %)"."""
    return "" if not added else f"({added:+,}, {100 * added / (value - added):+.2f} %)".replace("-", "−")
