"""The cores that this process may use, also on systems that can't limit them."""

from __future__ import annotations

import os

import pytest

from suite.cores import usable_cores


def test_a_process_that_is_limited_to_some_cores_has_those(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: {0, 3, 5}, raising=False)
    assert usable_cores() == 3


@pytest.mark.parametrize(("count", "cores"), [(12, 12), (None, 1)])
def test_elsewhere_it_has_all_of_the_machine(count: int | None, cores: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: count)
    assert usable_cores() == cores
