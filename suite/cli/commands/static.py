"""`lape verify --static`: compares published parameter counts with those of the suite's models."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from rich.table import Table
from rich.text import Text

from suite.cli.answers.answer import json_text
from suite.cli.answers.verify import StaticVerdictsAnswer
from suite.cli.commands.console import COLOURS, WIDTH, Record, open_console, put
from suite.errors import InputError
from suite.grid.axes import GRID_ORDER
from suite.grid.shipped import known_files
from suite.report.tables.terminal import open_table
from suite.text import say
from suite.verdict.claims.model_counts import StaticVerdict, judge_static, to_json
from suite.verdict.claims.reader import read_claim_files


def print_static_verdicts(files: Sequence[str], *, as_json: bool, target: str | None) -> bool:
    """Judge the published parameter counts, and print the verdicts.

    Args:
        files: claim files; empty: all of the project's.
        as_json: print JSON instead of the table.
        target: the CSV file, if any; "-" prints the CSV instead of the table.

    Returns:
        Whether any published count is contradicted.

    Raises:
        InputError: a file is invalid, no file has a parameter count, or both JSON and CSV are requested.
    """
    if as_json and target is not None:
        raise InputError(
            "two forms of one output",
            expected="either --json or --csv",
            found="both",
            where="lape verify --static",
            fix="leave one of them out",
        )
    known = known_files("claims")
    paths = [known.get(name, Path(name)) for name in files] or list(known.values())
    verdicts = judge_static(value for file in read_claim_files(paths) for value in file.values.values())
    if not verdicts:
        raise InputError(
            "nothing to count",
            expected="a claim file with values of params_millions or pe_params_thousands",
            found=", ".join(map(str, paths)) or "no claim file",
            where="lape verify --static",
            fix="for instance `lape verify --static table5`",
        )
    if as_json:
        found = [{"format": "lape/verify-static/1", **one} for one in json.loads(to_json(verdicts))]
        say(json_text(StaticVerdictsAnswer.model_validate(found), indent=2))
    else:
        put(open_console(WIDTH), _table(verdicts), [_record(verdict) for verdict in verdicts], target)
    return any(verdict.word == "contradicted" for verdict in verdicts)


def _record(verdict: StaticVerdict) -> Record:
    value = verdict.value
    return {
        "id": value.id,
        "paper": value.paper,
        "version": value.version,
        "table": value.table,
        **{axis: getattr(value.cell, axis) for axis in GRID_ORDER},
        "metric": value.metric,
        "printed": value.printed,
        "computed": verdict.computed,
        "count": verdict.count,
        "difference": verdict.difference,
        "word": verdict.word,
        "reason": verdict.reason,
    }


def _table(verdicts: Sequence[StaticVerdict]) -> Table:
    table = open_table("", "Count: parameters, exact. Difference: the count less what is printed.")
    for head in ("Table", "Row"):
        table.add_column(head, no_wrap=True)
    for head in ("Printed", "Count", "Difference"):
        table.add_column(head, justify="right", no_wrap=True)
    table.add_column("Verdict")
    for verdict in verdicts:
        value, counted = verdict.value, verdict.count is not None
        texts = [
            value.table,
            value.label,
            value.printed,
            f"{verdict.count:,}" if counted else "–",
            f"{verdict.difference:+,}".replace("-", "−") if counted else "–",
        ]
        word = verdict.word.replace("_", " ") + (f": {verdict.reason}" if verdict.reason else "")
        table.add_row(*map(Text, texts), Text(word, style=COLOURS.get(verdict.word, "dim")))
    return table
