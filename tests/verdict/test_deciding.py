"""Which pair a grid runs next, and when it stops: on records that nobody trained."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from suite.grid.grid import load_grid
from suite.grid.trial import Trial
from suite.run.events import Listener
from suite.run.queue import Queue
from suite.run.serial import run_serial
from suite.store.record import RunRecord
from suite.verdict.claims.claim import Claim, level_of, untested
from suite.verdict.claims.reader import load_claims
from suite.verdict.deciding import Deciding, questions
from suite.verdict.paths import fell, path_line, steps
from tests.conftest import REPOSITORY
from tests.records import make_record

GRID = REPOSITORY / "grids" / "sequential_digits.yaml"
MOST = 12
# By the claim, the gains of its pairs in points: decided early, late, and never. Baselines are shared by none.
GAINS = {
    "none": np.array([4.0, 4.2, 3.9, 4.1, 4.0, 4.1, 4.0, 4.2, 4.1, 4.0, 3.9, 4.0]),
    "vit_lite_digits": np.array([0.9, -0.1, 0.8, 0.3, 1.2, 0.6, 0.4, 0.9, 0.7, 0.5, 0.8, 0.6]),
    "cct_digits": np.array([0.4, -0.4, 0.3, -0.3, 0.5, -0.5, 0.2, -0.1, 0.1, -0.2, 0.4, -0.4]),
}


@pytest.fixture(scope="module")
def claims() -> list[Claim]:
    return load_claims([GRID.parent / "claims" / "sequential_digits.yaml"])


@pytest.fixture(scope="module")
def trials() -> tuple[Trial, ...]:
    return load_grid(GRID).with_seeds(MOST).expand().trials


def trained(trial: Trial, status: str = "done") -> RunRecord:
    place = trial.seed_index
    value = 90.0 + 0.1 * (place % 3)
    if trial.pe == "none":
        value -= float(GAINS["none"][place])
    elif trial.join == "lape":
        value += float(GAINS[trial.arch.name][place])
    return make_record(trial, round(value, 2), status=status, test_images=None, correct=None)


def deciding(claims: list[Claim], trials: tuple[Trial, ...], **options: object) -> Deciding:
    return Deciding(questions(claims, trials, range(MOST), 3), range(MOST), 3, **options)  # type: ignore[arg-type]


def run_all(chooses: Deciding, trials: tuple[Trial, ...], known: list[RunRecord] | None = None) -> list[RunRecord]:
    found = list(known or [])
    done = {record.trial_id for record in found}
    jobs = [(trial,) for trial in trials if trial.id not in done]

    def run(job: tuple[Trial, ...]) -> list[RunRecord]:
        found.append(trained(job[0]))
        return found[-1:]

    run_serial(Queue(jobs, Listener(), known=found[:], decide=chooses), run)
    return found


def test_pairs_are_added_until_each_claim_has_a_word_or_all_its_pairs(
    claims: list[Claim], trials: tuple[Trial, ...]
) -> None:
    chooses = deciding(claims, trials)
    records = run_all(chooses, trials)
    early, late, never = chooses.states({record.trial_id: record for record in records})
    assert (early.word, early.end, early.pairs) == ("gain_here", "decided", 3)
    assert (late.word, late.end) == ("gain_here", "decided")
    assert 3 < late.pairs <= MOST
    assert never.end in ("decided", "all pairs")
    assert never.word in ("no_gain_here", "open")
    assert len(records) < len(trials)
    assert late.evidence is not None
    path = steps(late.evidence)
    at = fell(path)
    assert at is not None
    assert at.pairs == late.pairs == len(path)
    assert at.mean > at.boundary
    assert all(step.mean <= step.boundary for step in path[:-1])
    assert path_line(late.evidence).endswith(f"gain here, since pair {late.pairs}")


def test_a_run_that_is_killed_goes_on_as_if_nothing_had_happened(
    claims: list[Claim], trials: tuple[Trial, ...]
) -> None:
    whole = run_all(deciding(claims, trials), trials)
    half = run_all(deciding(claims, trials), trials, whole[: len(whole) // 2])
    assert {record.trial_id for record in half} == {record.trial_id for record in whole}


def test_a_pair_is_asked_for_once_while_it_is_under_way(claims: list[Claim], trials: tuple[Trial, ...]) -> None:
    chooses = deciding(claims, trials)
    fresh = {trial.id for trial in trials}
    asked: list[str] = []
    while chosen := chooses({}, fresh - set(asked), set(asked)):
        assert not set(chosen) & set(asked)
        asked += chosen
    assert len(asked) == len(trials)  # with room for all, none waits for an answer


def test_no_pair_is_begun_that_would_end_too_late(claims: list[Claim], trials: tuple[Trial, ...]) -> None:
    chooses = deciding(claims, trials, seconds=lambda trial: 60.0, out_of_time=lambda seconds: seconds > 100)
    assert chooses({}, {trial.id for trial in trials}, set()) == []  # a pair takes two minutes
    assert chooses.late


def test_a_failed_pair_stops_its_claim_alone(claims: list[Claim], trials: tuple[Trial, ...]) -> None:
    lost = next(trial for trial in trials if trial.arch.name == "cct_digits" and trial.join == "lape")
    chooses = deciding(claims, trials)
    records = run_all(chooses, trials, [trained(lost, "diverged")])
    states = chooses.states({record.trial_id: record for record in records})
    assert [state.end for state in states][:2] == ["decided", "decided"]
    assert (states[2].end, states[2].waits_for) == ("blocked", 0)


def test_a_claim_that_is_judged_once_gets_the_pairs_that_its_grid_fixes(
    claims: list[Claim], trials: tuple[Trial, ...]
) -> None:
    once = [claim.model_copy(update={"max_pairs": None}) for claim in claims]
    chooses = deciding(once, trials)
    records = run_all(chooses, trials)
    assert {record.seed_index for record in records} == {0, 1, 2}
    assert [state.end for state in chooses.states({one.trial_id: one for one in records})] == ["all pairs"] * 3


def test_the_example_is_what_the_grid_says(claims: list[Claim]) -> None:
    assert {claim.max_pairs for claim in claims} == {MOST}
    assert {claim.family_size for claim in claims} == {3}
    assert Path(GRID).exists()


@pytest.mark.parametrize(
    "name",
    ["training_length_digits", "position_scale_digits", "data_and_depth_digits", "stability", "learning_rate"],
)
def test_claims_that_name_settings_have_their_cells(name: str) -> None:
    grid = load_grid(REPOSITORY / "grids" / f"{name}.yaml").with_seeds(2)
    claims, trials = load_claims(grid.claim_files), grid.expand().trials
    elsewhere = {claim.id for claim in untested(claims, trials)}
    asked = questions(claims, trials, (0, 1), 2)
    assert {one.claim.id for one in asked} == {claim.id for claim in claims} - elsewhere
    for one in asked:
        sides = [cells[0] for cells in (one.baseline, one.treatment)]
        assert sides[0].cell_id != sides[1].cell_id
        assert all(one.claim.contrast.matches(level_of(side)) for side in sides)
