"""`vary`: what differs from seed to seed."""

from __future__ import annotations

import pytest

from suite.errors import InputError
from suite.grid.grid import load_grid
from suite.grid.sources import SOURCES, USUAL_SOURCES
from suite.grid.trial import Purpose, Trial
from tests.cli.shell import Write

PURPOSES: dict[str, Purpose] = {
    "init": "initialisation", "order": "order", "augmentation": "augmentation", "dropout": "dropout",
}  # fmt: skip


def trials(write_grid: Write, vary: str | None) -> list[Trial]:
    values = "" if vary is None else f", vary: {vary}"
    path = write_grid(("train_images: 128}", "train_images: 128" + values + "}"), ("[0, 1]", "[0, 7]"))
    return [trial for trial in load_grid(path).expand().trials if trial.join == "default"]


def drawn(trial: Trial) -> dict[str, int | None]:
    return {**{source: trial.seed(purpose, 3) for source, purpose in PURPOSES.items()}, "data": trial.data_seed}


@pytest.mark.parametrize("sources", [["init"], ["order"], ["augmentation"], ["dropout"], ["data"], list(SOURCES)])
def test_only_what_varies_differs_from_seed_to_seed(write_grid: Write, sources: list[str]) -> None:
    usual, _ = map(drawn, trials(write_grid, None))
    first, second = map(drawn, trials(write_grid, str(sources)))
    assert [source for source in SOURCES if first[source] != second[source]] == sources
    # What doesn't vary is what seed 0 draws, so that trainings with other sources share it.
    assert {source: first[source] for source in PURPOSES} == {source: usual[source] for source in PURPOSES}


def test_the_usual_sources_change_no_id(write_grid: Write) -> None:
    ids = [trial.id for trial in trials(write_grid, None)]
    assert [trial.id for trial in trials(write_grid, str(list(USUAL_SOURCES)))] == ids
    assert [trial.id for trial in trials(write_grid, str(list(reversed(USUAL_SOURCES))))] == ids
    assert {trial.id for trial in trials(write_grid, "[data]")}.isdisjoint(ids)
    assert [one.id for one in trials(write_grid, "data")] == [one.id for one in trials(write_grid, "[data]")]


def test_both_sides_of_a_pair_train_on_the_same_images(write_grid: Write) -> None:
    path = write_grid(("train_images: 128}", "train_images: 128, vary: [data]}"))
    seeds = {(trial.seed_index, trial.data_seed) for trial in load_grid(path).expand().trials}
    assert len(seeds) == 2


@pytest.mark.parametrize(
    ("vary", "told"),
    [("[inits]", "vary"), ("[]", "vary"), ("[data, data]", "each source once"), ("[init, 3]", "vary")],
)
def test_what_can_not_vary(write_grid: Write, vary: str, told: str) -> None:
    with pytest.raises(InputError, match=told):
        trials(write_grid, vary)


def test_all_images_can_not_be_redrawn(write_grid: Write) -> None:
    path = write_grid(("train_images: 128}", "vary: [data]}"))
    with pytest.raises(InputError, match="vary: data needs train_images"):
        load_grid(path).expand()
