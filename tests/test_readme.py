"""The README tells the truth: its table is that of the committed runs, its commands exist, its method works.

`python -m tests.test_readme` writes the table anew.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

from suite.grid.grid import load_grid
from suite.report.tables.render import to_markdown
from suite.report.tables.rows import rows
from suite.report.tables.summary import summary_table
from suite.store.frames import load_frame
from tests.conftest import REPOSITORY

README = REPOSITORY / "README.md"
TEXT = README.read_text(encoding="utf-8")
BLOCK = re.compile(r"(<!-- cifar_subset -->\n)(.*?)(<!-- end -->)", re.DOTALL)


def table() -> str:
    """The table of the committed runs, as the README shows it."""
    return "\n" + to_markdown(summary_table(rows(load_frame(REPOSITORY / "results" / "cifar_subset")))) + "\n"


def test_the_table_is_that_of_the_committed_runs() -> None:
    found = BLOCK.search(TEXT)
    assert found is not None
    assert found[2] == table(), "run: python -m tests.test_readme"


def test_the_committed_runs_are_those_of_the_grid() -> None:
    frame = load_frame(REPOSITORY / "results" / "cifar_subset")
    expansion = load_grid(REPOSITORY / "grids" / "cifar_subset.yaml").expand()
    assert set(frame["trial_id"]) == expansion.ids
    assert set(frame["status"]) == {"done"}


def test_every_command_exists() -> None:
    told = subprocess.run([sys.executable, "-m", "suite", "--help"], capture_output=True, text=True, check=True).stdout
    named = set(re.findall(r"`lape ([a-z]+)", TEXT))
    assert named >= {"data", "check", "plan", "run", "status", "rerun", "tables", "verify", "report", "ls", "inspect"}
    for name in named:
        assert re.search(rf"^  {name} ", told, re.MULTILINE), name


def test_the_weights_to_inspect_are_of_the_runs_that_it_says() -> None:
    trials = {trial.id: trial for trial in load_grid(REPOSITORY / "grids" / "quickstart.yaml").expand().trials}
    named = re.findall(r"lape inspect results/quickstart/weights/(\w+)\.safetensors", TEXT)
    one, other = (trials[name] for name in named)
    assert one.levels == {**other.levels, "join": "default"}
    assert (one.axis("arch"), one.pe, other.join) == ("vit_lite_digits", "sin1d", "lape")
    assert one.seed_index == other.seed_index


def test_every_link_leads_somewhere() -> None:
    links = re.findall(r"\]\(([^)#]+)\)", TEXT)
    assert links
    for link in links:
        assert link.startswith("https://") or (REPOSITORY / link).exists(), link


def test_the_example_grid_is_valid(tmp_path: Path) -> None:
    example = re.search(r"```yaml\n(.*?)```", TEXT, re.DOTALL)
    assert example is not None
    (tmp_path / "recipes").mkdir()
    (tmp_path / "recipes" / "digits.yaml").write_bytes((REPOSITORY / "grids" / "recipes" / "digits.yaml").read_bytes())
    (tmp_path / "grid.yaml").write_text(example[1])
    expansion = load_grid(tmp_path / "grid.yaml").expand()
    assert expansion.trials
    assert expansion.dropped


def test_the_example_models_are_joined() -> None:
    example = re.search(r"## The models on their own.*?```python\n(.*?)```", TEXT, re.DOTALL)
    assert example is not None
    made: dict[str, Any] = {}
    exec(compile(example[1], "README.md", "exec"), made)
    assert made["cct"].position.join.name == made["vit"].position.join.name == "lape"


def test_the_example_method_works(tmp_path: Path) -> None:
    """The README's method, in a file of its own, trains and differs from the default."""
    import torch

    from suite.grid.methods import load_methods, unload
    from suite.models import create_model

    example = re.search(r"## Bring your own method.*?```python\n(.*?)```", TEXT, re.DOTALL)
    assert example is not None
    path = tmp_path / "halved.py"
    path.write_text(example[1])
    loaded = load_methods([path])
    size = {"patch_size": 2, "embed_dim": 8, "depth": 2, "num_heads": 2, "mlp_ratio": 1.0}
    model = create_model("vit_lite", join="halved", num_classes=3, image_size=4, **size)
    joined = model.position()
    assert joined.stem is None
    assert len(joined.blocks) == 2
    assert torch.equal(joined.blocks[1].branch, model.position.tables[0] / 2)
    model(torch.rand(2, 3, 4, 4)).sum().backward()
    assert model.position.tables[0].grad is not None
    unload(loaded)


if __name__ == "__main__":
    README.write_text(BLOCK.sub(lambda found: found[1] + table() + found[3], TEXT), encoding="utf-8")
