"""Runs until decided, on a Ray cluster: pairs are chosen while others are under way."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from suite.grid.grid import load_grid
from suite.grid.trial import Trial
from suite.run.events import Run
from suite.run.policy import Policy
from suite.run.queue import Queue
from suite.run.ray.tune import Resources, run_ray
from suite.run.serial import run_serial
from suite.run.worker import Worker
from suite.store.folder import Store
from suite.store.record import RunRecord
from suite.train.machine import Machine
from suite.verdict.claims.reader import load_claims
from suite.verdict.deciding import Deciding, State, questions
from tests.cli.test_until_decided import CLAIM
from tests.records import EachOf, Heard, lasting, make_record
from tests.run.ray.cluster import alone

pytestmark = [pytest.mark.ray, pytest.mark.slow, pytest.mark.filterwarnings("default")]

MOST = 12


@dataclass(frozen=True)
class Gaining:
    """Takes no time. The treatment gains so many points, by turns a little more and a little less."""

    points: float
    off: float

    def __call__(self, trial: Trial) -> RunRecord:
        gain = self.points + self.off * (-1) ** trial.seed_index if trial.join == "lape" else 0.0
        return make_record(trial, 60 + gain, test_images=None, correct=None)


def decided(grid: Path, function: Run, address: str, most: int) -> tuple[State, dict[str, RunRecord]]:
    """How the claim ends, and the records; by Ray, or one after the other if there is no address."""
    claim = grid.with_name("claim.yaml")
    claim.write_text(CLAIM.replace("max_pairs: 5", f"max_pairs: {most}"))
    trials = list(load_grid(grid).with_seeds(most).expand().trials)
    deciding = Deciding(questions(load_claims([claim]), trials, range(most), 2), range(most), 2)
    heard = Heard()
    queue = Queue(alone(trials), heard, Policy(), decide=deciding)
    if address:
        run_ray(queue, function, resources=Resources(1, 0), address=address)
    else:
        run_serial(queue, function)
    (state,) = deciding.states(heard.records)
    return state, heard.records


@pytest.mark.parametrize(
    ("gains", "end", "word", "fewest", "most"),
    [(Gaining(5.0, 0.1), "decided", "gain_here", 3, 4), (Gaining(0.3, 2.0), "all pairs", "open", MOST, MOST)],
)
def test_a_run_ends_when_its_claim_does(
    write_grid: Callable[..., Path], address: str, gains: Gaining, end: str, word: str, fewest: int, most: int
) -> None:
    """Of two workers one may begin the next pair while the last one is under way, and no more than that."""
    state, records = decided(write_grid(), EachOf(gains), address, MOST)
    serial, alone_records = decided(write_grid(), EachOf(gains), "", MOST)
    assert (state.end, state.word) == (serial.end, serial.word) == (end, word)
    assert len({record.seed_index for record in alone_records.values()}) == fewest
    seeds = {record.seed_index for record in records.values()}
    assert fewest <= len(seeds) <= most
    assert seeds == set(range(len(seeds)))
    for name, record in alone_records.items():
        assert lasting(records[name]) == lasting(record)


def test_words_and_records_are_those_of_the_serial_executor(
    write_grid: Callable[..., Path], address: str, data_folder: Path, tmp_path: Path
) -> None:
    """Real training, whose claim takes all its pairs."""
    results = tmp_path / "results"
    results.mkdir()
    state, records = decided(write_grid(), Worker(Machine(data_folder, "cpu"), results), address, 4)
    serial, alone_records = decided(write_grid(), Worker(Machine(data_folder, "cpu"), tmp_path / "elsewhere"), "", 4)
    assert (state.word, state.end, state.pairs) == (serial.word, serial.end, serial.pairs)
    assert state.evidence is not None
    assert serial.evidence is not None
    assert state.evidence.comparison.gains == serial.evidence.comparison.gains
    assert records.keys() == alone_records.keys()
    for name, record in records.items():
        assert lasting(record) == lasting(alone_records[name])
    assert Store(results).records() == records
