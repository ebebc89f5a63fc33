"""`lape plan` on a cluster that is described."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from suite.cli.commands.plan import find_room
from suite.errors import InputError
from suite.run.opened_grid import OpenGrid, open_grid
from suite.store.folder import Store
from tests.records import make_record


@pytest.fixture
def opened(write_grid: Callable[..., Path], tmp_path: Path) -> OpenGrid:
    """A grid of 20 trials, of which two are done."""
    opened = open_grid(str(write_grid()), (), 10, tmp_path / "results")
    for trial in opened.expansion.trials[:2]:
        Store(tmp_path / "results" / "small").put(make_record(trial))
    return opened


def test_no_more_run_at_once_than_are_to_do(opened: OpenGrid) -> None:
    room = find_room(opened, None, ["4xCPU:8,GPU:2"], 2, None)
    assert (room.at_once, room.most, room.needs.gpus) == (8, 8, 1)
    room = find_room(opened, None, ["4xCPU:8,GPU:2"], 1, 0.25)
    assert (room.at_once, room.most) == (18, 32)


def test_several_gpus_are_several_processes(opened: OpenGrid) -> None:
    """Each has its own threads, as `lape run` asks for them."""
    room = find_room(opened, None, ["CPU:8,GPU:4"], 4, 2)
    assert (room.needs.cpus, room.needs.gpus, room.most) == (8, 2, 1)


def test_what_could_never_run_is_refused(opened: OpenGrid) -> None:
    with pytest.raises(InputError, match="no node can ever run"):
        find_room(opened, None, ["4xCPU:8"], 9, None)
    with pytest.raises(InputError, match="no node has any"):
        find_room(opened, None, ["4xCPU:8"], 1, 1)


def test_a_cluster_is_asked_or_described(opened: OpenGrid) -> None:
    with pytest.raises(InputError, match="either --address or --nodes"):
        find_room(opened, "auto", ["CPU:1"], 1, None)
