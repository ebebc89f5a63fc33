"""Effects and sums against golden files.

To write them anew, when a change is meant: python -m tests.report.tables.test_effects
"""

from __future__ import annotations

import io
import shutil
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
from rich.console import Console

from suite.report.figures import interactions
from suite.report.figures.kept import cache_folder
from suite.report.tables import render, terminal
from suite.report.tables.effects import effect_tables
from suite.report.tables.table import Table
from suite.verdict.interactions import factorials
from tests.conftest import REPOSITORY
from tests.frames import GPU, frame_of, run
from tests.verdict.test_interactions import CELLS, noisy, rows

GOLDEN = REPOSITORY / "tests" / "golden_tables"


def frame() -> pd.DataFrame:
    """Three methods with all their combinations; two, of which one seed diverged; two without their combination."""
    accuracy = noisy(scale=0.2)
    gains = {"lape": 1.0, "dtn": 0.6, "diversepatch": -0.5}

    def gained(cell: tuple[str, ...], seed: int) -> float:
        together = {"lape", "dtn"} <= set(cell)
        return round(accuracy(cell, seed) + sum(gains.get(level, 0) for level in cell) - 1.2 * together, 2)

    two = [cell for cell in CELLS if cell[2] == "default"]
    listed = rows(gained)
    listed += [row for row in rows(gained, 5, two, pe="sin1d") if (row["norm"], row["seed_index"]) != ("dtn", 4)]
    listed += [run(4, status="diverged", norm="dtn", pe="sin1d")]
    lacking = [("lape", "dtn", "default"), ("default", "ln", "diversepatch")]
    listed += rows(gained, 3, [cell for cell in CELLS if cell not in lacking], arch="cct_digits", environment=GPU)
    return frame_of(listed)


def in_terminal(table: Table) -> str:
    console = Console(width=100, file=io.StringIO(), color_system=None, legacy_windows=False)
    console.print(terminal.to_terminal(table))
    assert isinstance(console.file, io.StringIO)
    return "".join(f"{line.rstrip()}\n" for line in console.file.getvalue().splitlines())


RENDERERS: dict[str, Callable[[Table], str]] = {
    "csv": render.to_csv,
    "md": render.to_markdown,
    "tex": render.to_latex,
    "html": render.to_html,
    "txt": in_terminal,
}


def tables() -> list[Table]:
    return effect_tables(factorials(frame()), "ten epochs")


@pytest.fixture(scope="module")
def golden() -> dict[str, Table]:
    return {table.name: table for table in tables()}


@pytest.mark.parametrize("suffix", RENDERERS)
@pytest.mark.parametrize("name", ["effects", "sums"])
def test_the_golden_tables(golden: dict[str, Table], name: str, suffix: str) -> None:
    assert RENDERERS[suffix](golden[name]) == (GOLDEN / f"{name}.{suffix}").read_text(encoding="utf-8")


def test_without_a_factorial_there_is_nothing_to_show(tmp_path: Path) -> None:
    assert effect_tables(factorials(frame_of([run(0), run(1)]))) == []
    assert render.write([], tmp_path) == []
    assert list(tmp_path.iterdir()) == []


def test_all_files_are_written(golden: dict[str, Table], tmp_path: Path) -> None:
    paths = render.write(list(golden.values()), tmp_path)
    assert [path.name for path in paths] == [
        f"{name}.{suffix}" for name in ("effects", "sums") for suffix in ("csv", "md", "tex", "html")
    ]
    assert all(path.stat().st_size for path in paths)


def test_what_is_missing_is_told_where_it_is(golden: dict[str, Table]) -> None:
    told = {(line["arch"], line["pe"], line["combination"]): line["notes"] for line in golden["sums"].records}
    lacks = "can't be estimated: no finished run of"
    assert told["cct_digits", "learnable", "lape + dtn"] == f"{lacks} lape dtn default"
    assert told["cct_digits", "learnable", "dtn + diversepatch"] == f"{lacks} default ln diversepatch"
    assert told["vit_lite_digits", "learnable", "lape + dtn"] == ""
    assert told["vit_lite_digits", "sin1d", "lape + dtn"] == "seed 4 left out: not finished in default dtn, lape dtn"


def test_the_lines_of_sums_that_add_up_are_parallel() -> None:
    exact = frame_of(rows(lambda cell, seed: 50 + seed + 2 * ("lape" in cell) - ("dtn" in cell)))
    (found,) = factorials(exact)
    drawn = interactions.panels(found)
    assert [(panel.along, panel.by) for panel in drawn] == [("join", "norm"), ("join", "loss"), ("norm", "loss")]
    for panel in drawn:
        steps = [line.means[1] - line.means[0] for line in panel.lines]
        assert steps == pytest.approx([{"join": 2.0, "norm": -1.0}[panel.along]] * 2)


def test_a_mean_that_lacks_a_cell_is_not_drawn() -> None:
    found = next(one for one in factorials(frame()) if one.cell["arch"] == "cct_digits")
    panel = interactions.panels(found)[0]
    assert [[mean == mean for mean in line.means] for line in panel.lines] == [[False, True], [True, False]]


def test_the_same_runs_are_the_same_drawing() -> None:
    found = factorials(frame())
    drawn = interactions.draw_all(found)
    assert list(drawn) == ["interactions-01", "interactions-02", "interactions-03"]
    shutil.rmtree(cache_folder())
    assert drawn == interactions.draw_all(found)
    assert all('id="interactions-0' in svg for svg in drawn.values())
    assert "norm × loss" in drawn["interactions-02"]


if __name__ == "__main__":
    for made in tables():
        for made_suffix, made_by in RENDERERS.items():
            (GOLDEN / f"{made.name}.{made_suffix}").write_text(made_by(made), encoding="utf-8")
