"""Progress of a throughput measurement: each turn is reported, and their number is known before."""

from __future__ import annotations

import pytest
import torch

from suite.bench.throughput.crowd import Side
from suite.bench.throughput.measure import Plan, measure, turn_count
from suite.bench.throughput.turns import LoopSetting, Task, Turn
from tests.bench.throughput.workloads import workload


@pytest.mark.parametrize("workers", [(0,), (0, 1, 2)])
@pytest.mark.parametrize(("threads", "rounds"), [(1, 1), (4, 3)])
def test_every_turn_is_reported_and_counted(
    monkeypatch: pytest.MonkeyPatch, threads: int, rounds: int, workers: tuple[int, ...]
) -> None:
    class Crowd:
        def __init__(self, side: Side, *_: object) -> None:
            self.side = side

        def __enter__(self) -> Crowd:
            return self

        def __exit__(self, *_: object) -> None:
            pass

        def turn(self, task: Task, setting: LoopSetting, batches: int) -> Turn:
            return Turn(batches, 0.0, 1.0, 1.0, 1.0)

    monkeypatch.setattr("suite.bench.throughput.measure.Crowd", Crowd)
    monkeypatch.setattr("suite.bench.throughput.measure.matmul_rate", lambda *_: 1.0)
    plan, told = Plan(rounds, 1.0, 1, threads, workers), list[str]()
    found = measure(workload(), plan, told.append)
    assert len(told) == turn_count(torch.device("cpu"), plan)
    assert len(found.rounds) == rounds
    assert told[-1] in ("training of timm", "training of ours")
