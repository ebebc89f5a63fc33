"""Lines of progress."""

from __future__ import annotations

import io
import re
import time

import pytest

from suite.text import Progress


def test_lines_come_though_a_single_step_takes_long() -> None:
    stream = io.StringIO()
    with Progress("reading images", 4, "images", interval=0.02, stream=stream) as progress:
        progress.advance(doing="dogs")
        time.sleep(0.3)
    lines = stream.getvalue().splitlines()
    assert len(lines) >= 2
    form = r"reading images: 1 of 4 images, dogs, \d s so far, about \d s left"
    assert all(re.fullmatch(form, line) for line in lines), lines


def test_a_command_that_ends_soon_prints_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    with Progress("reading images", 2, "images") as progress:
        progress.advance(2)
    assert capsys.readouterr() == ("", "")


def test_what_is_left_follows_from_the_pace_so_far(monkeypatch: pytest.MonkeyPatch) -> None:
    progress = Progress("reading images", 1000, "images")
    began = time.monotonic()
    monkeypatch.setattr(time, "monotonic", lambda: began + 30)
    assert "left" not in progress.line  # nothing is known of the pace before the first unit
    progress.advance(300)
    assert progress.line == "reading images: 300 of 1000 images, 30 s so far, about 1 min 10 s left"


def test_without_a_total_nothing_is_said_of_the_rest() -> None:
    progress = Progress("reading images", None, "images")
    progress.advance(3)
    assert progress.line == "reading images: 3 images, 0 s so far"


def test_an_error_inside_ends_the_lines() -> None:
    stream = io.StringIO()
    with pytest.raises(KeyError), Progress("reading", 2, "images", interval=0.01, stream=stream):
        raise KeyError
    said = stream.getvalue()
    time.sleep(0.05)
    assert stream.getvalue() == said
