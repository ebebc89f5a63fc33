"""Processes at once: what they did is added up, and what went wrong in one is told."""

from __future__ import annotations

from pathlib import Path

import pytest

from suite.bench.throughput.crowd import Crowd
from suite.bench.throughput.turns import LoopSetting
from suite.errors import InputError
from tests.bench.throughput.workloads import workload


def test_an_error_in_a_process_is_raised_here(tmp_path: Path) -> None:
    with Crowd("ours", workload(root=tmp_path), 1) as crowd, pytest.raises(InputError, match="not prepared"):
        crowd.turn("step", LoopSetting(1), 1)


def test_a_turn_is_taken_and_a_process_that_dies_is_told() -> None:
    with Crowd("ours", workload(), 1) as crowd:
        turn = crowd.turn("training", LoopSetting(1), 5)
        assert turn.images == 5 * 8
        assert turn.cpu_seconds > 0
        assert turn.seconds > 0
        crowd._processes[0].kill()
        with pytest.raises(InputError, match="has died"):
            crowd.turn("step", LoopSetting(1), 1)


@pytest.mark.slow
@pytest.mark.parametrize("side", ["ours", "timm"])
def test_two_at_once(side: str) -> None:
    with Crowd(side, workload(), 2) as crowd:  # type: ignore[arg-type]
        turn = crowd.turn("training", LoopSetting(1, workers=side == "timm"), 5)
    assert turn.images == 2 * 5 * 8
    assert turn.seconds > 0
    assert turn.cpu_seconds > turn.seconds / 2
    assert all(not process.is_alive() for process in crowd._processes)
