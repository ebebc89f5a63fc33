"""Processes that work together, as real ones: what one finds, all know; and whatever becomes of one, none is left."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from suite.store.storage import Folder
from suite.store.versions import Versions
from suite.train.parallel import processes
from suite.train.parallel.processes import Found, LostError, work_together
from suite.train.parallel.team import Team
from suite.train.snapshot import Snapshots, TeamSnapshots
from tests.conftest import REPOSITORY
from tests.processes import wait_until
from tests.train.parallel.works import die, fail, hang
from tests.train.steps.test_micro_batches import small, train

STEPS = 12
DROPPED = {"attn_drop": 0.2, "drop_path": 0.2}


def some_steps(team: Team, batch: int, **options: Any) -> tuple[Tensor, Tensor]:
    unmixed = {"mixup": 0.0, "cutmix": 0.0, "mixup_mode": "batch"}  # an image of an odd batch would have no partner
    values = unmixed if batch % 2 else {}
    return train(None, model=small(**DROPPED), batch=batch, values=values, steps=STEPS, team=team, **options)


def each_other(team: Team, folder: str) -> Found:
    """All that two processes can tell each other, and some steps by both of an even and an odd batch."""
    numbers, ones = torch.arange(3.0) + team.rank, torch.ones(2, 2)
    team.add([numbers, ones])
    told = team.from_leader(b"from the first" if team.leads else b""), team.from_leader()
    team.tell(b"news")
    own = Snapshots(Versions(Folder(Path(folder, "snapshots")), "0" * 16), 0, {"a": 1})
    snapshots = TeamSnapshots(own if team.leads else None, team)
    none, made = snapshots.last(), list[int]()

    def make() -> tuple[dict[str, Tensor], dict[str, Any]]:
        made.append(1)
        return {"x": numbers}, {"epoch": 3}

    snapshots.offer(make)
    held = snapshots.last()
    assert held is not None
    trained = {size: [part.tolist() for part in some_steps(team, size)] for size in (12, 13)}
    found = {
        "numbers": numbers.tolist(),
        "ones": ones.tolist(),
        "largest": team.largest(float(team.rank)),
        "told": [part.decode() for part in told],
        "snapshots": [none, len(made), held[0]["x"].tolist(), held[1]],
        "trained": trained,
    }
    mine = json.dumps(found).encode()
    same = team.from_leader(mine) == mine
    return same, mine


def test_all_know_the_same_and_train_as_one_process_with_so_many_threads(tmp_path: Path) -> None:
    """To the bit: Mixup, CutMix, augmentation, clipping, the running mean, and each share's dropout."""
    news: list[bytes] = []
    done, content = work_together(each_other, 2, (str(tmp_path),), news.append)
    found = json.loads(content)
    assert done
    assert news == [b"news"] * 2
    assert (found["numbers"], found["ones"], found["largest"]) == ([1, 3, 5], [[2, 2], [2, 2]], 1)
    assert found["told"] == ["from the first", ""]
    assert found["snapshots"] == [None, 1, [1, 3, 5], {"epoch": 3}]
    for size in (12, 13):
        losses, weights = (torch.tensor(values) for values in found["trained"][str(size)])
        expected, end = some_steps(Team(), size, threads=2)
        assert len(losses) == STEPS
        assert torch.equal(losses, expected)
        assert torch.equal(weights, end)


@pytest.mark.slow
def test_the_first_failure_is_what_is_found() -> None:
    assert work_together(fail, 2, ()) == (False, b"why")


def test_a_process_that_is_killed() -> None:
    with pytest.raises(LostError, match=r"process 2 of 2 died: signal 9 \(SIGKILL\)") as lost:
        work_together(die, 2, ())
    assert not lost.value.silent


@pytest.mark.slow
def test_a_process_that_hangs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "PATIENCE", 30.0)
    with pytest.raises(LostError, match="none of 2 processes was heard of for 30 s") as lost:
        work_together(hang, 2, ())
    assert lost.value.silent


@pytest.mark.slow
def test_no_process_outlives_the_one_that_started_it(tmp_path: Path) -> None:
    program = (
        "from tests.train.parallel.works import wait\n"
        "from suite.train.parallel.processes import work_together\n"
        f"if __name__ == '__main__': work_together(wait, 2, ({str(tmp_path)!r},))\n"
    )
    script = tmp_path / "program.py"
    script.write_text(program)
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    parent = subprocess.Popen([sys.executable, str(script)], env=environment)
    wait_until(
        "both processes to be at work",
        lambda: all((tmp_path / rank).exists() and (tmp_path / rank).read_text() for rank in "01"),
    )
    pids = [int((tmp_path / rank).read_text()) for rank in "01"]
    parent.kill()
    parent.wait()
    wait_until("both processes to end", lambda: not any(Path(f"/proc/{pid}").exists() for pid in pids))
