"""The guides' examples work, and their table is that of the committed runs.

`python -m tests.documentation.test_guides` writes the table anew.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from suite.grid.grid import load_grid
from suite.report.tables.render import to_markdown
from suite.report.tables.rows import rows
from suite.report.tables.summary import summary_table
from suite.store.frames import load_frame
from tests.conftest import REPOSITORY

DOCS = REPOSITORY / "docs"
RUNS = DOCS / "committed_runs.md"
BLOCK = re.compile(r"(<!-- cifar_subset -->\n)(.*?)(<!-- end -->)", re.DOTALL)


def text(page: str) -> str:
    return (DOCS / page).read_text(encoding="utf-8")


def example(page: str, language: str) -> str:
    """The first block of a language on a page."""
    found = re.search(rf"```{language}\n(.*?)```", text(page), re.DOTALL)
    assert found is not None
    return found[1]


def table() -> str:
    """The table of the committed runs, as the page shows it."""
    return "\n" + to_markdown(summary_table(rows(load_frame(REPOSITORY / "results" / "cifar_subset")))) + "\n"


def test_the_table_is_that_of_the_committed_runs() -> None:
    found = BLOCK.search(text("committed_runs.md"))
    assert found is not None
    assert found[2] == table(), "run: python -m tests.documentation.test_guides"


def test_the_committed_runs_are_those_of_the_grid() -> None:
    frame = load_frame(REPOSITORY / "results" / "cifar_subset")
    expansion = load_grid(REPOSITORY / "grids" / "cifar_subset.yaml").expand()
    assert set(frame["trial_id"]) == expansion.ids
    assert set(frame["status"]) == {"done"}


def test_the_weights_to_inspect_are_of_the_runs_that_it_says() -> None:
    trials = {trial.id: trial for trial in load_grid(REPOSITORY / "grids" / "quickstart.yaml").expand().trials}
    named = re.findall(r"lape inspect results/quickstart/weights/(\w+)\.safetensors", text("models.md"))
    one, other = (trials[name] for name in named)
    assert one.levels == {**other.levels, "join": "default"}
    assert (one.axis("arch"), one.pe, other.join) == ("vit_lite_digits", "sin1d", "lape")
    assert one.seed_index == other.seed_index


def test_the_example_grid_is_valid(tmp_path: Path) -> None:
    (tmp_path / "grid.yaml").write_text(example("grids.md", "yaml"))
    expansion = load_grid(tmp_path / "grid.yaml").expand()
    assert expansion.trials
    assert expansion.dropped


def test_the_example_models_are_joined() -> None:
    made: dict[str, Any] = {}
    exec(compile(example("models.md", "python"), "models.md", "exec"), made)
    assert made["cct"].position.join.name == made["vit"].position.join.name == "lape"


if __name__ == "__main__":
    RUNS.write_text(BLOCK.sub(lambda found: found[1] + table() + found[3], text("committed_runs.md")), encoding="utf-8")
