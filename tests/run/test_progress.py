"""The progress display: plain lines without a terminal, one live line with one."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from suite.grid.grid import load_grid
from suite.run.progress import ProgressDisplay
from suite.run.timing.estimate import estimate
from suite.run.timing.pace import Paces
from suite.text import duration
from suite.train.faults import MachineFault
from tests.records import make_record

Write = Callable[..., Path]


def shown(write_grid: Write, *, terminal: bool) -> list[str]:
    trials = load_grid(write_grid()).expand().trials
    console = Console(file=io.StringIO(), force_terminal=terminal, width=120, color_system=None)
    with ProgressDisplay(console, trials, estimate(trials, [])) as display:
        for trial in trials[:2]:
            display.started(trial)
        display.finished(make_record(trials[0], 71.25))
        display.finished(make_record(trials[1], status="diverged"))
    return console.file.getvalue().splitlines()  # type: ignore[attr-defined, no-any-return]


def test_without_a_terminal_there_is_a_line_per_trial(write_grid: Write) -> None:
    first, second = shown(write_grid, terminal=False)
    assert first.startswith("1/4 done · 1 running · ")
    assert first.endswith(" left · last 71.25 % (tiny learnable default digits seed 0)")
    assert second.startswith("1/4 done · 0 running · 1 failed · ")
    assert second.endswith(" left · last diverged (tiny learnable lape digits seed 0)")
    assert "\x1b" not in first + second


REFUSED = """  File "images.py", line 3, in read
suite.errors.InputError: an image can't be read
  expected:   a whole image file
  found:      No such file or directory
  where:      /data/photos/3.jpg
  what to do: put the images back
"""


@pytest.mark.parametrize("terminal", [False, True])
def test_the_reason_of_a_failure_is_told_once(terminal: bool, write_grid: Write) -> None:
    trials = load_grid(write_grid()).expand().trials
    console = Console(file=io.StringIO(), force_terminal=terminal, width=120, color_system=None)
    with ProgressDisplay(console, trials, estimate(trials, [])) as display:
        display.finished(make_record(trials[0], status="error", error=REFUSED))
        display.finished(make_record(trials[1], status="error", error=REFUSED))
        display.finished(make_record(trials[2], status="error", error="Traceback …\nRuntimeError: no"))
        display.delayed(trials[3], MachineFault(REFUSED, "n1"), 8.0)
    text = console.file.getvalue()  # type: ignore[attr-defined]
    reason = "an image can't be read: No such file or directory (/data/photos/3.jpg); put the images back"
    assert text.count(f"failed: tiny learnable default digits seed 0: {reason}") == 1
    assert text.count("failed: tiny learnable default digits seed 1: RuntimeError: no") == 1
    assert text.count("failed: ") == 2
    assert f"again in 8 s: tiny learnable lape digits seed 1 (an error of the machine on n1: {reason})" in text


def test_in_a_terminal_there_is_one_line_that_changes(write_grid: Write) -> None:
    text = "\n".join(shown(write_grid, terminal=True))
    assert "━" in text
    assert "1/4 done · 0 running · 1 failed" in text
    assert "\x1b[2K" in text  # the line is drawn anew


def test_time_left_goes_by_estimates_corrected_by_what_has_ended(
    write_grid: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [0.0]
    monkeypatch.setattr("suite.run.progress.time.monotonic", lambda: now[0])
    trials = load_grid(write_grid(), seeds=3).expand().trials
    pace = Paces().of_record(make_record(trials[0], train_seconds=10.0))
    assert pace is not None
    console = Console(file=io.StringIO(), width=120, color_system=None)

    def left(display: ProgressDisplay) -> str:
        return display._line().partition(" left")[0].rpartition("· ")[2]

    with ProgressDisplay(console, trials, estimate(trials, [pace])) as display:
        assert left(display) == "1 min"  # six of ten seconds
        display.started(trials[0])
        display.started(trials[1])
        assert left(display) == "30 s"  # two at a time
        now[0] += 100  # workers begin: that isn't taken for work
        display.finished(make_record(trials[0], train_seconds=20.0))
        display.started(trials[2])
        assert left(display) == "40 s"  # five of twenty seconds, one of them about to end, two at a time
    with ProgressDisplay(console, trials, estimate(trials, [])) as display:
        display.started(trials[0])
        assert left(display) == "?"
        now[0] += 100
        display.finished(make_record(trials[0], train_seconds=20.0))
        assert left(display) == "1 min 40 s"


def test_what_a_run_shows_replaces_the_estimate_of_its_kind_at_once(write_grid: Write) -> None:
    """A calibration that is far off for one kind of trial doesn't make the others' times wrong."""
    trials = load_grid(write_grid(("pe: [learnable]", "pe: [learnable, sin2d]"))).expand().trials
    one, other = ([trial for trial in trials if trial.pe == pe] for pe in ("learnable", "sin2d"))
    paces = []
    for trial, seconds in ((one[0], 1000.0), (other[0], 1000.0)):
        pace = Paces().of_record(make_record(trial, train_seconds=seconds))
        assert pace is not None
        paces.append(replace(pace, calibrated=True))
    console = Console(file=io.StringIO(), width=120, color_system=None)
    with ProgressDisplay(console, trials, estimate(trials, paces)) as display:
        assert display._time_left() == duration(8 * 1000)
        display.finished(make_record(one[0], train_seconds=10.0))
        assert display._time_left() == duration(7 * 10)  # all that is known of the others is that they were alike
        display.finished(make_record(other[0], train_seconds=500.0))
        assert display._time_left() == duration(3 * 10 + 3 * 500)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 s"),
        (59.4, "59 s"),
        (59.6, "1 min"),
        (200, "3 min 20 s"),
        (3600, "1 h"),
        (18605, "5 h 10 min"),
        (86400 * 12 + 4 * 3600, "12 d 4 h"),
    ],
)
def test_durations(seconds: float, text: str) -> None:
    assert duration(seconds) == text
