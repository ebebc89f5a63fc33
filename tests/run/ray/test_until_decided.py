"""Runs until decided, on a Ray cluster: pairs are chosen while others are under way."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from suite.grid.grid import load_grid
from suite.grid.trial import Trial
from suite.run.policy import Policy
from suite.run.queue import Queue
from suite.store.record import RunRecord
from suite.verdict.claims.reader import load_claims
from suite.verdict.deciding import Deciding, questions
from tests.cli.test_until_decided import CLAIM
from tests.records import EachOf, Heard, make_record
from tests.run.ray.cluster import alone

pytestmark = [pytest.mark.ray, pytest.mark.filterwarnings("default")]

MOST = 12


@dataclass(frozen=True)
class Gaining:
    """Takes no time; the treatment gains so many points, more and less by turns."""

    points: float
    off: float

    def __call__(self, trial: Trial) -> RunRecord:
        gain = self.points + self.off * (-1) ** trial.seed_index if trial.join == "lape" else 0.0
        return make_record(trial, 60 + gain, test_images=None, correct=None)


@pytest.mark.parametrize(
    ("gains", "end", "fewest", "most"),
    [(Gaining(5.0, 0.1), "decided", 3, 4), (Gaining(0.3, 2.0), "all pairs", MOST, MOST)],
)
def test_a_run_ends_when_its_claim_does(
    write_grid: Callable[..., Path], address: str, tmp_path: Path, gains: Gaining, end: str, fewest: int, most: int
) -> None:
    """Of two workers one may begin the next pair while the last one is under way, and no more than that."""
    from suite.run.ray.tune import Resources, run_ray

    (tmp_path / "claim.yaml").write_text(CLAIM.replace("max_pairs: 5", f"max_pairs: {MOST}"))
    trials = load_grid(write_grid()).with_seeds(MOST).expand().trials
    asked = questions(load_claims([tmp_path / "claim.yaml"]), trials, range(MOST), 2)
    deciding = Deciding(asked, range(MOST), 2)
    heard = Heard()
    queue = Queue(alone(list(trials)), heard, Policy(), decide=deciding)
    run_ray(queue, EachOf(gains), resources=Resources(1, 0), address=address)
    (state,) = deciding.states(heard.records)
    assert state.end == end
    seeds = {record.seed_index for record in heard.records.values()}
    assert fewest <= len(seeds) <= most
    assert seeds == set(range(len(seeds)))
