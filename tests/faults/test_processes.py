"""Kill -9 of workers, nodes, drivers and the head: nothing is lost, and all records are those of the unbroken run."""

from __future__ import annotations

from pathlib import Path

import pytest

from suite.store.folder import Store
from tests.faults.evidence import Row, Tell
from tests.faults.harness import Nodes, Run, compare, kill
from tests.processes import Process

pytestmark = [
    pytest.mark.ray,
    pytest.mark.slow,
    pytest.mark.timeout(900),
    pytest.mark.filterwarnings("default"),  # Ray's own: unclosed sockets and deprecations
]


def test_a_worker_is_killed_in_an_epoch(nodes: Nodes, run: Run, unbroken: Store, tell: Tell) -> None:
    driver = run.start()
    interrupted = run.wait_until_training(driver)
    kept = run.stored()
    (worker,) = nodes.trainers(0)
    kill(worker)
    recovery = run.wait_until_going_on(driver, interrupted)
    assert recovery.went_on == len(interrupted)
    run.finish(driver)
    tell(
        Row(
            "a worker is killed (-9) in an epoch",
            "the driver starts another one, which goes on from the last snapshot",
            compare(run.store, unbroken),
            kept,
            recovery.went_on,
            recovery.seconds,
        )
    )


def test_a_node_is_lost(nodes: Nodes, run: Run, unbroken: Store, tell: Tell) -> None:
    driver = run.start()
    interrupted = run.wait_until_training(driver)
    kept = run.stored()
    nodes.lose(0)
    recovery = run.wait_until_going_on(driver, interrupted)
    assert recovery.went_on == len(interrupted)
    run.finish(driver)
    nodes.gain()
    tell(
        Row(
            "a node is lost, with all that ran there",
            "its trials go on from their snapshots on another node, when that has room",
            compare(run.store, unbroken),
            kept,
            recovery.went_on,
            recovery.seconds,
        )
    )


def test_the_driver_is_killed_and_started_again(nodes: Nodes, run: Run, unbroken: Store, tell: Tell) -> None:
    driver = run.start()
    run.wait(driver, "a record", run.stored)
    run.wait_until_training(driver, trials=1)
    kill(driver)
    run.process.end(driver)
    interrupted, kept = run.under_way(), run.recorded()
    assert kept
    again = run.start()
    recovery = run.wait_until_going_on(again, interrupted)
    out = run.finish(again)
    assert "4 of 4 trials to run" not in out
    tell(
        Row(
            "the driver is killed (-9), and `lape run` started again",
            "it collects what had finished, also meanwhile, and goes on with the rest from its snapshots",
            compare(run.store, unbroken),
            len(kept),
            recovery.went_on,
            recovery.seconds,
        )
    )


def test_the_head_is_lost_and_the_grid_started_on_another_cluster(
    tmp_path: Path, data_folder: Path, fault_grid: Path, nodes: Nodes, unbroken: Store, tell: Tell
) -> None:
    """A worker is lost before it: its training is to go on elsewhere. The other one still ends its own."""
    lost = Nodes()
    try:
        run = Run(Process(tmp_path, data_folder), fault_grid, lost.address)
        driver = run.start()
        run.wait(driver, "a record", run.stored)
        run.wait_until_training(driver)
        kept = run.recorded()
        (worker,) = lost.trainers(0)
        kill(worker)
        lost.lose_head()
        code, out = run.process.end(driver)
    finally:
        lost.end()
    assert code == 2, out
    assert "error: the Ray cluster has lost its head\n  expected:" in out
    assert "Traceback" not in out
    assert kept <= run.recorded()
    interrupted, kept = run.under_way(), run.recorded()
    assert interrupted
    run.address = nodes.address
    again = run.start()
    recovery = run.wait_until_going_on(again, interrupted)
    assert recovery.went_on == len(interrupted)
    assert "4 of 4 trials to run" not in run.finish(again)
    tell(
        Row(
            "a worker and the head are lost, and `lape run` is started again on another cluster",
            "after 40 s without an answer the run ends with one message and exit code 2; then as with a driver",
            compare(run.store, unbroken),
            len(kept),
            recovery.went_on,
            recovery.seconds,
        )
    )
