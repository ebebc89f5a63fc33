"""Outcomes read fast must be those that are read with care."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from suite.errors import InputError
from suite.grid.grid import load_grid
from suite.run.outcomes import Outcomes
from suite.store.folder import RUNS, Store
from tests.records import make_record

Write = Callable[..., Path]


def test_they_are_those_of_the_store_folded_or_not(write_grid: Write, tmp_path: Path) -> None:
    store, outcomes = Store(tmp_path / "r"), Outcomes(tmp_path / "r")
    assert outcomes.read() == {}
    trials = load_grid(write_grid()).expand().trials
    store.put(make_record(trials[0], status="error", error="a\nboom"))
    store.put(make_record(trials[1]))
    steps = [
        lambda: None,
        store.collect,
        lambda: store.put(make_record(trials[1], status="oom")),  # a failure doesn't replace what is done
        lambda: store.put(make_record(trials[0], node="n")),
        store.collect,
    ]
    for step in steps:
        step()
        for reader in (outcomes, Outcomes(store.folder)):  # with what it remembers, and without
            found, records = reader.read(), store.records()
            assert {outcome.trial_id: outcome.status for outcome in found.values()} == {
                record.trial_id: record.status for record in records.values()
            }
            assert all(found[record.cell_id, record.seed_index].trial_id == key for key, record in records.items())
    outcome = outcomes.read()[trials[0].cell_id, trials[0].seed_index]
    assert (outcome.label, outcome.node) == ("tiny learnable default digits seed 0", "n")
    assert outcome.pace is not None


def test_what_has_not_changed_is_not_read_again(
    write_grid: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, outcomes = Store(tmp_path), Outcomes(tmp_path)
    trials = load_grid(write_grid()).expand().trials
    store.put(make_record(trials[0]))
    store.collect()
    store.put(make_record(trials[1]))
    assert len(outcomes.read()) == 2
    for reader in ("read_lines", "read_spooled"):
        monkeypatch.setattr(f"suite.run.outcomes.{reader}", lambda path: pytest.fail(f"{path} is read again"))
    assert len(outcomes.read()) == 2


@pytest.mark.parametrize("text", ["{", "[]", "null", '"x"', '{"schema_version": 1}', '{"schema_version": 99}'])
def test_damage_is_told_with_its_line(write_grid: Write, tmp_path: Path, text: str) -> None:
    store = Store(tmp_path)
    store.put(make_record(load_grid(write_grid()).expand().trials[0]))
    store.collect()
    with (tmp_path / RUNS).open("a") as file:
        file.write(text + "\n")
    with pytest.raises(InputError, match=r"runs\.jsonl, line 2"):
        Outcomes(tmp_path).read()
