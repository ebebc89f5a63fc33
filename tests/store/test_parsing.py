"""All readers accept and refuse the same records, and name the file and the line."""

from __future__ import annotations

import json
import random
import re
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pydantic_core import from_json

from suite.errors import InputError
from suite.grid.grid import load_grid
from suite.grid.trial import Trial
from suite.run.outcomes import Outcomes
from suite.store import parsing
from suite.store.canonical import canonical_json, config_ids, fingerprint
from suite.store.folder import RUNS, SPOOL, Store
from suite.store.frames import load_frame, load_history
from suite.store.history import HISTORY
from suite.store.merge import merge
from suite.store.parsing import parse_record, read_lines
from suite.store.record import RunRecord
from tests.conftest import REPOSITORY
from tests.records import make_record

Values = dict[str, Any]
READERS: dict[str, Callable[[Path], object]] = {
    "run": lambda folder: Store(folder).collect(),
    "status": lambda folder: Outcomes(folder).read(),
    "tables": load_frame,
    "merge": lambda folder: merge([folder], folder.parent / "joined"),
}


@pytest.fixture
def trials(write_grid: Callable[..., Path]) -> list[Trial]:
    return list(load_grid(write_grid()).expand().trials)


def with_ids(values: Values) -> Values:
    """The record with the ids of its config, as a careful forger would make it."""
    trial_id, cell_id = config_ids(values["config"])
    return values | {"trial_id": trial_id, "cell_id": cell_id}


def edited(text: str, *path: str, value: object) -> str:
    """The record with another value at a path of keys, as Python's own lenient JSON writes it."""
    values: Values = json.loads(text)
    inner = values
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = value
    return json.dumps(values)


def in_place(folder: Path, place: str, text: str, trials: list[Trial]) -> str:
    """Put a record's text into the spool, or as the second line of runs.jsonl. Returns what messages must name."""
    kept = Store(folder)
    kept.put(make_record(trials[1]))
    kept.collect()
    if place == RUNS:
        with (folder / RUNS).open("a", encoding="utf-8", errors="surrogateescape") as file:
            file.write(text + "\n")
        return f"{RUNS}, line 2"
    path = folder / SPOOL / f"{trials[0].id}.json"
    path.write_text(text, encoding="utf-8", errors="surrogateescape")
    return f"{SPOOL}/{path.name}"


NAN, INFINITY, HALF = float("nan"), float("inf"), "\ud800"
FAULTS: dict[str, tuple[Callable[[str], str], str]] = {
    "NaN in the config": (lambda text: edited(text, "config", "recipe", "lr", value=NAN), "NaN"),
    "Infinity in the config": (lambda text: edited(text, "config", "grid_seed", value=INFINITY), "Infinity"),
    "1e999 in the config": (lambda text: re.sub(r'"lr":[^,]*,', '"lr":1e999,', text), "lr: a number that is infinite"),
    "a huge integer in the config": (lambda text: edited(text, "config", "grid_seed", value=10**400), "grid_seed"),
    "NaN in a measurement": (lambda text: edited(text, "train_seconds", value=NAN), "NaN"),
    "NaN in the history": (lambda text: text.replace('"train_loss":1.0', '"train_loss":NaN', 1), "NaN"),
    "half a pair in the config": (lambda text: edited(text, "config", "axes", "arch", value=HALF), "surrogate"),
    "half a pair in a key": (lambda text: edited(text, "config", HALF, value=1), "surrogate"),
    "half a pair in the error": (lambda text: edited(text, "error", value=HALF), "surrogate"),
    "bytes that are not UTF-8": (lambda text: text.replace('"node":null', '"node":"\udcff"'), "not UTF-8"),
    "huge params": (lambda text: edited(text, "params", value=10**30), "params"),
    "huge train_seconds": (lambda text: edited(text, "train_seconds", value=1e300), "train_seconds"),
    "huge seed_index": (lambda text: edited(text, "seed_index", value=2**80), "seed_index"),
    "huge threads": (lambda text: edited(text, "environment", "threads", value=2**40), "threads"),
    "a status that is no word": (lambda text: edited(text, "status", value=["done"]), "status"),
    "a status that is unknown": (lambda text: edited(text, "status", value="fine"), "status"),
    "a time that steers": (lambda text: edited(text, "started_at", value="\x1b[2J"), "started_at"),
    "a node that turns the text": (lambda text: edited(text, "node", value="\u202eedon"), "node"),
    "a commit that steers": (lambda text: edited(text, "environment", "commit", value="\x9b2J"), "commit"),
    "another trial_id": (lambda text: edited(text, "trial_id", value="0" * 16), "trial"),
    "another cell_id": (lambda text: edited(text, "cell_id", value="0" * 16), "cell_id"),
    "another config": (lambda text: edited(text, "config", "recipe", "lr", value=0.5), "trial_id"),
    "an arch without sizes": (
        lambda text: json.dumps(with_ids(json.loads(edited(text, "config", "axes", "arch", value="deit_tiny")))),
        "sizes of the trial's arch",
    ),
    "a config without its seed": (
        lambda text: json.dumps(
            with_ids(json.loads(text) | {"config": {"axes": json.loads(text)["config"]["axes"], "recipe": {}}})
        ),
        "",
    ),
    "batches of no images": (
        lambda text: json.dumps(with_ids(json.loads(edited(text, "config", "recipe", "batch_size", value=0)))),
        "",
    ),
    "a line that is too long": (lambda text: text[:-1] + " " * 2_000_000 + "}", "bytes"),
}


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("place", [RUNS, SPOOL])
@pytest.mark.parametrize("fault", FAULTS)
def test_every_reader_refuses_it_and_names_the_place(
    tmp_path: Path, trials: list[Trial], monkeypatch: pytest.MonkeyPatch, fault: str, place: str, reader: str
) -> None:
    monkeypatch.setattr(parsing, "LARGEST_RECORD", 1_000_000)
    text = make_record(trials[0]).model_dump_json()
    change, told = FAULTS[fault]
    changed = change(text)
    assert changed != text
    where = in_place(tmp_path / "small", place, changed, trials)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    with pytest.raises(InputError, match=r"damaged record|can't be read") as caught:
        READERS[reader](tmp_path / "small")
    assert where in str(caught.value)
    assert told in str(caught.value)
    str(caught.value).encode()  # can be printed
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


@pytest.mark.parametrize("reader", READERS)
def test_every_reader_accepts_what_is_right(tmp_path: Path, trials: list[Trial], reader: str) -> None:
    text = make_record(trials[0], node="nœud", environment={**env(trials), "commit": "a" * 40}).model_dump_json()
    in_place(tmp_path / "small", SPOOL, text, trials)
    assert READERS[reader](tmp_path / "small") is not None


def env(trials: list[Trial]) -> Values:
    return make_record(trials[0]).environment.model_dump()


def test_committed_records_have_the_ids_of_their_configs() -> None:
    """Those of version 1 of the schema, too."""
    versions = set()
    for path in sorted((REPOSITORY / "results").glob(f"*/{RUNS}")):
        for where, line in read_lines(path):
            record = parse_record(line, where)
            assert config_ids(record.config) == (record.trial_id, record.cell_id)
            versions.add(json.loads(line)["schema_version"])
        assert len(load_history(path.parent)) > 0
    assert versions >= {1, 2}


def test_the_ids_of_a_config_are_those_of_the_trial(trials: list[Trial]) -> None:
    for trial in trials:
        assert config_ids(trial.config) == (trial.id, trial.cell_id)
    for config in (
        {"a": 1, "z": 2, "seed_index": 3},
        {"seed_index": 3, "a": {"seed_index": 3}},
        {"a": {"seed_index": 3}},
    ):
        cell = {key: value for key, value in config.items() if key != "seed_index"}
        assert config_ids(config) == (fingerprint(config), fingerprint(cell))


def test_numbers_are_read_as_python_reads_them() -> None:
    """Ids are made of the text of numbers, so the reader of JSON must round each correctly."""
    draw = random.Random(0)
    for _ in range(20_000):
        number = struct.unpack("d", draw.randbytes(8))[0]
        if number == number and abs(number) != INFINITY:
            assert canonical_json(from_json(repr(number))) == repr(number)


def test_a_line_is_held_in_memory_and_no_file(tmp_path: Path, trials: list[Trial]) -> None:
    path = tmp_path / RUNS
    text = make_record(trials[0]).model_dump_json()
    path.write_text(f"\ufeff{text}\n\n  \n{text}\r\n{text}")
    found = list(read_lines(path))
    assert [where.rpartition(" ")[2] for where, _ in found] == ["1", "4", "5"]
    assert {parse_record(line, where).trial_id for where, line in found} == {trials[0].id}
    assert list(read_lines(tmp_path / "none")) == []


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("lr", INFINITY), ("lr", NAN), ("train_loss", -INFINITY), ("train_loss", 1e300), ("top1", INFINITY),
        ("top1", 101.0), ("top1", -1.0), ("test_loss", INFINITY), ("seconds", -1.0), ("seconds", 1e13),
        ("seconds", NAN), ("epoch", 2**40), ("epoch", -1), ("epoch", 1e300), ("epoch", NAN),
        ("similarity", (0.5, NAN)), ("similarity", (2.0,)), ("similarity", (INFINITY,)),
    ],
)  # fmt: skip
def test_numbers_of_a_history_have_bounds(tmp_path: Path, trials: list[Trial], column: str, value: object) -> None:
    kept = Store(tmp_path)
    kept.put(make_record(trials[0]))
    kept.collect()
    history = load_history(tmp_path)
    changed = history[column].astype("object")
    changed.iloc[1] = value
    history.assign(**{column: changed if column == "similarity" else changed.astype("float64")}).to_parquet(
        tmp_path / HISTORY
    )
    for read in (load_history, lambda folder: Store(folder).collect()):
        with pytest.raises(InputError, match=rf"history of the runs is damaged[\s\S]*column {column}[\s\S]*{HISTORY}"):
            read(tmp_path)


def test_a_text_of_an_error_is_kept_as_it_is(tmp_path: Path, trials: list[Trial]) -> None:
    record = make_record(trials[0], status="error", error="\x1b[31mred\u202e\nω\U0001f600")
    assert parse_record(record.model_dump_json(), "").error == record.error
    assert isinstance(record, RunRecord)
