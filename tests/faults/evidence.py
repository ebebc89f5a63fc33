"""What the tests of faults show, as rows of the table in docs/cluster.md.

`python -m benchmarks.cluster faults` runs them all, and fills the table with what they showed.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

VARIABLE = "LAPE_FAULTS"  # names the file that the rows are written to; without it they are checked and forgotten


@dataclass(frozen=True)
class Row:
    """A fault and what was shown of it.

    fault: what breaks. answer: what is done about it. trials: how many the grid has, each of them compared with the
    unbroken run. kept: how many had finished before the fault, and weren't run again. went_on: how many went on from
    a snapshot. seconds: from the fault, or from the next start, until all that it had interrupted was being trained
    further. None: nothing had to be.
    """

    fault: str
    answer: str
    trials: int
    kept: int
    went_on: int
    seconds: float | None


Tell = Callable[[Row], None]


def teller(test: str) -> Tell:
    """Writes the row of a test, if somebody asked for it. test: its pytest name, such as tests/x.py::test_y."""

    def tell(row: Row) -> None:
        if path := os.environ.get(VARIABLE):
            file = Path(path)
            rows = json.loads(file.read_text()) if file.exists() else {}
            values = asdict(row)
            values["seconds"] = None if row.seconds is None else round(row.seconds, 1)
            file.write_text(json.dumps({**rows, test: values}, indent=1, ensure_ascii=False, sort_keys=True) + "\n")

    return tell
