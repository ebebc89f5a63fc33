"""Results of methods whose file isn't at hand can be read."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from suite.errors import InputError
from suite.grid.axes import AXES
from suite.grid.grid import load_grid
from suite.grid.methods import MethodFile, load_files, unload
from suite.models.architectures import FAMILIES
from suite.run.absent_methods import forget_stand_ins
from suite.run.opened_grid import open_grid
from suite.store.folder import Store
from tests.cli.shell import Shell
from tests.records import make_record

HEAD = "from suite.methods import Terms, architecture, join, loss, norm, position\n"
TEXTS = {
    "join": "@join()\ndef mine(tables, maps):\n    return Terms()\n",
    "pe": "@position()\ndef mine(grid, prefix, width): ...\n",
    "norm": "@norm()\nclass Mine: ...\n",
    "loss": "@loss(weight='cosine_weight')\ndef mine(seen, target, smoothing): ...\n",
}
FAMILY = "@architecture(defaults={'norm_eps': 1e-6, 'drop_path': 0.1, 'attn_drop': 0.0})\nclass mine: ...\n"
LEVELS = {"join": "default", "pe": "learnable", "norm": "ln", "loss": "default"}


@pytest.fixture
def stored(write_grid: Callable[..., Path], tmp_path: Path) -> Iterator[Callable[[str], tuple[Path, frozenset[str]]]]:
    """A grid with records of a level of an axis whose file is gone; and the ids of its trials."""

    def one(axis: str) -> tuple[Path, frozenset[str]]:
        axes = "".join(
            f"  {name}: [{', '.join([level, *(['mine'] if name == axis else [])])}]\n" for name, level in LEVELS.items()
        )
        size = "depth: 3" if axis == "norm" else "depth: 2"
        grid = write_grid(
            ("  pe: [learnable]\n  join: [default, lape]\n", axes), ("depth: 2", size), ("axes:", "claims: []\naxes:")
        )
        file = MethodFile("mine.py", HEAD + TEXTS[axis])
        load_files([file])
        expansion = load_grid(grid).expand()
        store = Store(tmp_path / "results" / "small")
        for trial in expansion.trials:
            store.put(make_record(trial))
        store.collect()
        unload([file])
        return grid, expansion.ids

    yield one
    forget_stand_ins()


@pytest.mark.parametrize("axis", TEXTS)
def test_the_trials_are_those_of_the_records(
    stored: Callable[[str], tuple[Path, frozenset[str]]], tmp_path: Path, axis: str, capsys: pytest.CaptureFixture[str]
) -> None:
    grid, ids = stored(axis)
    with pytest.raises(InputError, match=rf"unknown {axis} 'mine'"):
        open_grid(str(grid), [], None, tmp_path / "results")
    opened = open_grid(str(grid), [], None, tmp_path / "results", reading=True)
    assert opened.expansion.ids == ids
    told = capsys.readouterr().err
    assert len(told.strip().splitlines()) == 1
    assert f"{axis} 'mine' (fingerprint " in told
    forget_stand_ins()
    assert "mine" not in AXES[axis].levels


def test_an_architecture_may_be_absent_too(
    write_grid: Callable[..., Path], lape: Shell, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its family's defaults are those that the records have."""
    grid = write_grid(
        ("family: vit_lite", "family: mine"),
        ("mlp_ratio: 1", "mlp_ratio: 1, qkv_bias: true"),
        ("axes:", "claims: []\naxes:"),
    )
    file = MethodFile("mine.py", HEAD + FAMILY)
    load_files([file])
    expansion = load_grid(grid).expand()
    store = Store(tmp_path / "results" / "small")
    for trial in expansion.trials:
        store.put(make_record(trial))
    store.collect()
    unload([file])
    opened = open_grid(str(grid), [], None, tmp_path / "results", reading=True)
    assert opened.expansion.ids == expansion.ids
    assert "arch 'mine' (fingerprint " in capsys.readouterr().err
    forget_stand_ins()
    assert "mine" not in FAMILIES
    assert "tiny" in lape("tables", grid)
    assert lape.code == 0, lape.err
    forget_stand_ins()
    assert "unknown architecture 'mine'" in lape.refuses("run", grid)


def test_the_commands_that_read_do_so_and_those_that_train_do_not(
    stored: Callable[[str], tuple[Path, frozenset[str]]], lape: Shell
) -> None:
    grid, _ = stored("join")
    for command in ("tables", "verify", "report", "status"):
        forget_stand_ins()
        out = lape(command, grid)
        assert lape.code == 0, lape.err
        assert "the method file isn't at hand" in " ".join(lape.err.split())
        if command == "tables":
            assert "mine" in out
    forget_stand_ins()
    assert "unknown join 'mine'" in lape.refuses("run", grid)
    assert "unknown join 'mine'" in lape.refuses("plan", grid)
