"""A disk that is full, a snapshot that is torn, a clock that is set back: nothing is lost, nothing differs."""

from __future__ import annotations

import shutil
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from suite.store.folder import SNAPSHOTS, Store
from tests.faults.evidence import Row, Tell
from tests.faults.harness import STEPS, Nodes, Run, compare, kill
from tests.processes import Process

pytestmark = [
    pytest.mark.ray,
    pytest.mark.slow,
    pytest.mark.timeout(900),
    pytest.mark.filterwarnings("default"),  # Ray's own: unclosed sockets and deprecations
]


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 16 MB for the results."""
    folder = tmp_path / "broken"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=16m", "tmpfs", folder], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("it takes root to mount a file system")
    yield folder
    subprocess.run(["umount", "--lazy", folder], check=True)


@contextmanager
def full(folder: Path) -> Iterator[None]:
    """Take all space that there is, and what becomes free, until the end."""
    rest, over = folder / "rest", threading.Event()

    def take() -> None:
        with rest.open("wb", buffering=0) as file:
            while not over.wait(0.001):
                with suppress(OSError):
                    while file.write(bytes(4096)):
                        pass

    taker = threading.Thread(target=take)
    taker.start()
    yield
    over.set()
    taker.join()
    rest.unlink()


def test_the_disk_of_the_results_is_full(small_disk: Path, run: Run, unbroken: Store, tell: Tell) -> None:
    driver = run.start()
    run.wait(driver, "a record", run.stored)
    run.wait_until_training(driver, trials=1)
    kept = run.recorded()
    with full(small_disk):
        code, out = run.process.end(driver)
    assert code == 2, out
    assert "the disk is full" in out
    assert "Traceback" not in out
    assert kept <= run.recorded()
    interrupted, kept = run.under_way(), run.recorded()
    again = run.start()
    recovery = run.wait_until_going_on(again, interrupted)
    run.finish(again)
    tell(
        Row(
            "the disk of the results folder is full; space is made, and `lape run` started again",
            "the run stops with one message and exit code 2, as soon as a record can't be stored",
            compare(run.store, unbroken),
            len(kept),
            recovery.went_on,
            recovery.seconds,
        )
    )


def test_a_snapshot_is_torn(run: Run, unbroken: Store, tell: Tell) -> None:
    """The machine lost its power while one was written: half of the newest is there, and a temporary file."""
    driver = run.start()
    run.wait_until_training(driver)
    kill(driver)
    run.process.end(driver)
    interrupted, kept = run.under_way(), run.recorded()
    folder = run.store.folder / SNAPSHOTS
    for trial_id in interrupted:
        newest = max(folder.glob(f"{trial_id}*"), key=lambda path: path.stat().st_mtime_ns)
        content = newest.read_bytes()
        newest.write_bytes(content[: len(content) // 2])
        (folder / f".{newest.name}.torn").write_bytes(content[:100])
    older = run.under_way()
    assert interrupted.keys() == older.keys(), "the one before is kept"
    again = run.start()
    recovery = run.wait_until_going_on(again, older)
    assert recovery.went_on == len(older) > 0
    run.finish(again)
    tell(
        Row(
            "a snapshot is torn in the middle of writing",
            "it doesn't have its checksum: the training goes on from the one before",
            compare(run.store, unbroken),
            len(kept),
            recovery.went_on,
            recovery.seconds,
        )
    )


@pytest.fixture
def turn_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Once this file is there, the time of day is an hour back in what is started from now on but Ray's daemons."""
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("it takes a C compiler to set back the clock of a few processes")
    library = tmp_path / "clock.so"
    source = Path(__file__).with_name("clock.c")
    subprocess.run([compiler, "-shared", "-fPIC", "-O2", source, "-o", library, "-ldl"], check=True)
    monkeypatch.setenv("LD_PRELOAD", str(library))
    monkeypatch.setenv("RAY_LD_PRELOAD_ON_WORKERS", "1")
    monkeypatch.setenv("LAPE_CLOCK_IS_BACK", str(tmp_path / "back"))
    return tmp_path / "back"


def test_the_clock_is_set_back_by_an_hour(
    turn_back: Path, tmp_path: Path, data_folder: Path, fault_grid: Path, unbroken: Store, tell: Tell
) -> None:
    """In the middle of the run, for driver and workers, not for Ray's daemons; and then the driver is started again."""
    nodes = Nodes()
    try:
        run = Run(Process(tmp_path, data_folder), fault_grid, nodes.address)
        driver = run.start()
        before = run.wait_until_training(driver)
        turn_back.touch()
        # The same driver gives out further trials, which are trained with the clock set back.
        run.wait(
            driver,
            "another training run that is past its first epoch",
            lambda: any(steps >= STEPS for name, steps in run.positions().items() if name not in before),
        )
        kill(driver)
        run.process.end(driver)
        interrupted, kept = run.under_way(), run.recorded()
        assert kept
        assert interrupted
        again = run.start()
        recovery = run.wait_until_going_on(again, interrupted)
        assert recovery.went_on == len(interrupted)
        run.finish(again)
    finally:
        nodes.end()
    times = [datetime.fromisoformat(record.started_at) for record in run.store.records().values()]
    assert timedelta(minutes=30) < max(times) - min(times) < timedelta(minutes=70), "the clock wasn't set back"
    tell(
        Row(
            "the clock of driver and workers is set back by an hour; later the driver is killed, and started again",
            "nothing goes by the time of day: snapshots are numbered, and pauses measured by a clock that only runs",
            compare(run.store, unbroken),
            len(kept),
            recovery.went_on,
            recovery.seconds,
        )
    )
