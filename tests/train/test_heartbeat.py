"""Beats of trials under way: whole or not there, never in a training's way, and nothing a stranger's file can do."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from suite.store.beats import Beat, Running, starting
from suite.train.heartbeat import Heartbeat, reporting

ONE, OTHER = "0" * 16, "1" * 16


def wait_for(condition: object, seconds: float = 10.0) -> None:
    end = time.monotonic() + seconds
    while not condition():  # type: ignore[operator]
        assert time.monotonic() < end, "it never happened"
        time.sleep(0.01)


def test_a_beat_replaces_the_one_before_and_goes_with_its_trial(tmp_path: Path) -> None:
    running = Running(tmp_path)
    assert running.read() == {}
    running.write(starting(ONE))
    running.write(starting(OTHER, "a-node"))
    running.write(Beat(trial_id=ONE, started_at="2026-11-21T00:00:00+00:00", epoch=1, epochs=4, step=5, steps=10))
    found = running.read()
    assert found.keys() == {ONE, OTHER}
    assert found[ONE].beat.share == pytest.approx(1.5 / 4)
    assert found[OTHER].beat.node == "a-node"
    assert found[OTHER].beat.share is None
    assert 0 <= found[ONE].age < 60
    assert not found[ONE].lost
    assert {path.name for path in running.folder.iterdir()} == {f"{ONE}.json", f"{OTHER}.json"}
    running.remove(ONE)
    running.remove(ONE)
    assert running.read().keys() == {OTHER}
    running.clear()
    assert list(running.folder.iterdir()) == []


def test_age_is_that_of_the_file_and_a_clock_set_back_makes_nothing_old(tmp_path: Path) -> None:
    running, now = Running(tmp_path), time.time()
    running.write(starting(ONE))
    running.write(starting(OTHER))
    os.utime(running.folder / f"{ONE}.json", (now - 600, now - 600))
    os.utime(running.folder / f"{OTHER}.json", (now + 86_400, now + 86_400))
    found = running.read()
    assert found[ONE].lost
    assert 599 < found[ONE].age < 660
    assert (found[OTHER].age, found[OTHER].lost) == (0.0, False)


def test_what_cannot_be_written_is_lost_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "running").write_text("in the way")
    running = Running(tmp_path)
    running.write(starting(ONE))
    running.remove(ONE)
    running.clear()
    assert running.read() == {}
    with Heartbeat([ONE], running, every=0.01) as heart:
        heart.trains(1, 1, "cpu")
        heart.stepped(0, 1, 64)
    assert (tmp_path / "running").read_text() == "in the way"


def test_files_of_a_stranger(tmp_path: Path) -> None:
    running = Running(tmp_path)
    running.write(starting(ONE))
    good = (running.folder / f"{ONE}.json").read_text()
    secret = tmp_path / "secret.json"
    secret.write_text(good.replace(ONE, OTHER))
    (running.folder / f"{OTHER}.json").symlink_to(secret)
    for number, text in enumerate(
        ("", "{", "[]", "null", good, "[" * 100_000, good.replace("}", ', "node": "\\u001b[2Jhost"}'), "\x80\x04."), 2
    ):
        (running.folder / f"{number:016x}.json").write_text(
            text.replace(ONE, f"{number:016x}") if number != 6 else good
        )
    (running.folder / "..%2fx.json").write_text(good)
    (running.folder / f"{'a' * 16}.json").mkdir()
    os.mkfifo(running.folder / f"{'b' * 16}.json")  # reading it would wait for ever
    assert running.read().keys() == {ONE}


def test_a_training_that_goes_on_beats_and_a_short_one_does_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    running = Running(tmp_path)
    with Heartbeat([ONE], running) as heart:
        heart.stepped(0, 1, 64)
    assert not running.folder.exists()
    monkeypatch.setattr("suite.train.heartbeat.FIRST", 0.01)
    with Heartbeat([ONE, OTHER], running, "a-node", every=0.01) as heart:
        heart.trains(epochs=3, steps=10, device="cpu")
        heart.stepped(1, 5, 640)
        wait_for(lambda: len(running.read()) == 2 and running.read()[ONE].beat.images_per_second)
        beat = running.read()[ONE].beat
        assert (beat.node, beat.device, beat.epoch, beat.epochs, beat.step, beat.steps) == (
            "a-node",
            "cpu",
            1,
            3,
            5,
            10,
        )
        assert beat.images_per_second is not None
        assert beat.images_per_second > 0
        before = running.read()[ONE]
        wait_for(lambda: ONE in running.read() and running.read()[ONE].written != before.written)
        assert running.read()[ONE].beat.idle >= before.beat.idle  # it is alive, and no step was taken
    assert list(running.folder.iterdir()) == []


def test_it_is_reported_where_there_is_no_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[Sequence[Beat]] = []
    with reporting(told.append):
        with Heartbeat([ONE], None, "a-node") as heart:
            heart.stepped(0, 1, 64)
        assert told == []  # too short to be worth a message
        monkeypatch.setattr("suite.train.heartbeat.FIRST", 0.0)
        with Heartbeat([ONE], None, "a-node", every=0.05) as heart:
            heart.trains(epochs=1, steps=100, device="cpu")
            for step in range(1, 4):
                heart.stepped(0, step, 64)
            assert [beat.step for (beat,) in told] == [1]
            time.sleep(0.06)
            heart.stepped(0, 4, 64)
    assert [beat.step for (beat,) in told] == [1, 4]
    assert told[1][0].node == "a-node"
    with Heartbeat([ONE], None, every=0.0) as heart:
        heart.stepped(0, 5, 64)
    assert len(told) == 2  # nobody listens any more
