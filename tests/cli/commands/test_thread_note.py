"""The note on more threads than cores."""

from __future__ import annotations

import pytest

from suite.cli.commands.thread_note import note_threads
from suite.train.machine import Machine


@pytest.mark.parametrize(
    ("threads", "processes", "told"),
    [
        (1, 1, ""),
        (2, 1, ""),
        (1, 2, ""),
        (999, 1, "note: --threads 999 is more than the 2 cores that there are: it can only be slower\n"),
        (
            2,
            3,
            "note: --threads 2 of each of 3 processes is more than the 2 cores that there are: it can only be slower\n",
        ),
    ],
)
def test_more_threads_than_cores_are_told(
    threads: int, processes: int, told: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("os.sched_getaffinity", lambda process: {0, 5})
    note_threads(Machine(threads=threads, processes=processes))
    assert capsys.readouterr().err == told
