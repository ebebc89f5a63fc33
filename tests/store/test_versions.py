"""Two versions of a thing are kept, the newer is found by its number, and half of one is passed over."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from suite.errors import InputError
from suite.store.storage import Folder
from suite.store.versions import KEPT, Versions, sweep

NAME, OTHER = "0123456789abcdef", "fedcba9876543210"


def test_the_last_two_are_kept_newest_first(tmp_path: Path) -> None:
    for number in range(5):  # each of another process
        Versions(Folder(tmp_path), NAME).add(b"%d" % number)
    Versions(Folder(tmp_path), OTHER).add(b"other")
    assert list(Versions(Folder(tmp_path), NAME).newest_first()) == [b"4", b"3"]
    assert len(Folder(tmp_path).names()) == KEPT + 1
    Versions(Folder(tmp_path), NAME).clear()
    assert list(Versions(Folder(tmp_path), OTHER).newest_first()) == [b"other"]


def test_no_clock_says_which_is_newer(tmp_path: Path) -> None:
    """Clocks of machines differ, and may be put back: times of files mean nothing."""
    versions = Versions(Folder(tmp_path), NAME)
    for time, content in ((2e9, b"old"), (1e9, b"new")):
        versions.add(content)
        newest = max(tmp_path.iterdir())
        os.utime(newest, (time, time))
    assert list(Versions(Folder(tmp_path), NAME).newest_first()) == [b"new", b"old"]
    Versions(Folder(tmp_path), NAME).add(b"newer")
    assert list(Versions(Folder(tmp_path), NAME).newest_first()) == [b"newer", b"new"]


def test_numbers_are_compared_as_numbers(tmp_path: Path) -> None:
    versions = Versions(Folder(tmp_path), NAME)
    versions.add(b"first")
    (only,) = Folder(tmp_path).names()
    (tmp_path / only).rename(tmp_path / only.replace("000001", "999999"))
    Versions(Folder(tmp_path), NAME).add(b"second")
    assert list(Versions(Folder(tmp_path), NAME).newest_first()) == [b"second", b"first"]


@pytest.mark.parametrize("kept", [0.0, 0.3, 0.99])
def test_half_a_version_is_none(tmp_path: Path, kept: float) -> None:
    versions = Versions(Folder(tmp_path), NAME)
    versions.add(b"one" * 100)
    versions.add(b"two" * 100)
    newest = max(tmp_path.iterdir())
    newest.write_bytes(newest.read_bytes()[: int(300 * kept)])
    assert list(Versions(Folder(tmp_path), NAME).newest_first()) == [None, b"one" * 100]


def test_what_is_called_otherwise_is_left_alone(tmp_path: Path) -> None:
    names = ["notes.txt", f"{NAME}.safetensors", f"{NAME}.1.abc.safetensors", ".hidden"]
    for name in names:
        (tmp_path / name).write_text("")
    assert list(Versions(Folder(tmp_path), NAME).newest_first()) == []
    Versions(Folder(tmp_path), NAME).clear()
    sweep(Folder(tmp_path), {NAME})
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(names)


def test_a_version_that_cannot_be_written_leaves_the_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    versions = Versions(Folder(tmp_path), NAME)
    versions.add(b"one")

    def full(*arguments: object) -> None:
        raise InputError("the disk is full")

    with monkeypatch.context() as patch:
        patch.setattr(Folder, "write", full)
        with pytest.raises(InputError):
            versions.add(b"two")
    assert list(versions.newest_first()) == [b"one"]
    versions.add(b"three")
    assert list(versions.newest_first()) == [b"three", b"one"]


@pytest.mark.parametrize("dies_at", ["os.fsync", "os.replace", "pathlib.Path.unlink"])
def test_a_kill_at_any_point_leaves_a_whole_one(tmp_path: Path, dies_at: str) -> None:
    """A process of its own, killed with -9 as its third version is written, or as the first one is removed."""
    program = (
        "import os, pathlib, signal, sys\n"
        "from suite.store.storage import Folder; from suite.store.versions import Versions\n"
        f"versions = Versions(Folder(pathlib.Path(sys.argv[1])), {NAME!r})\n"
        "versions.add(b'one' * 10**6); versions.add(b'two' * 10**6)\n"
        f"{dies_at} = lambda *arguments, **more: os.kill(os.getpid(), signal.SIGKILL)\n"
        "versions.add(b'three' * 10**6)"
    )
    ended = subprocess.run([sys.executable, "-c", program, str(tmp_path)], check=False)
    assert ended.returncode == -signal.SIGKILL
    found = list(Versions(Folder(tmp_path), NAME).newest_first())
    assert found[-1] == b"one" * 10**6
    assert (b"three" * 10**6 in found) == (dies_at == "pathlib.Path.unlink")
    assert None not in found
    Versions(Folder(tmp_path), NAME).add(b"four")
    assert len(Folder(tmp_path).names()) == KEPT
