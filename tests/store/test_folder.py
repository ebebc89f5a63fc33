"""The store: nothing is lost, whatever dies; what is damaged is told."""

from __future__ import annotations

import errno
import json
import os
import random
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from suite.errors import InputError
from suite.grid.grid import load_grid
from suite.grid.trial import Trial
from suite.store import files, folder, parsing, record
from suite.store.folder import RUNS, Store
from suite.store.frames import load_frame, load_history
from suite.store.history import HISTORY
from suite.store.parsing import parse_record
from suite.store.record import SCHEMA_VERSION, RunRecord, pack_bits, unpack_bits
from tests.records import make_record

NOW = f'"schema_version":{SCHEMA_VERSION}'  # as a record has it


def test_records_come_back_whole(tmp_path: Path, trials: list[Trial]) -> None:
    kept = Store(tmp_path / "results")
    records = [make_record(trials[0], 71.5), make_record(trials[1], status="diverged", diverged_step=7, history=())]
    for one in records:
        kept.put(one)
    assert list(kept.records().values()) == sorted(records, key=lambda r: r.trial_id)
    kept.collect()
    folded = kept.records()
    assert {one.trial_id: one.model_copy(update={"history": None}) for one in records} == folded
    history = load_history(kept.folder)
    assert len(history) == trials[0].recipe.epochs
    assert list(history["epoch"]) == list(range(trials[0].recipe.epochs))
    assert set(history["trial_id"]) == {trials[0].id}


def test_the_order_in_which_runs_end_does_not_matter(tmp_path: Path, trials: list[Trial]) -> None:
    written = set()
    for attempt in range(4):
        kept = Store(tmp_path / str(attempt))
        order = random.Random(attempt).sample(trials, len(trials))
        for count, trial in enumerate(order):
            kept.put(make_record(trial))
            if count % (attempt + 1) == 0:
                kept.collect()
        kept.collect()
        written.add((kept.folder / RUNS).read_bytes())
        assert not list((kept.folder / "spool").iterdir())
        assert len(load_history(kept.folder)) == sum(trial.recipe.epochs for trial in trials)
    assert len(written) == 1


def test_what_was_folded_is_parsed_no_second_time_unless_it_was_changed(
    tmp_path: Path, trials: list[Trial], monkeypatch: pytest.MonkeyPatch
) -> None:
    parsed: list[str] = []
    parse = parse_record

    def count(line: str, where: str, *rest: str) -> RunRecord:
        parsed.append(where)
        return parse(line, where, *rest)

    for module in (folder, parsing):
        monkeypatch.setattr(module, "parse_record", count)
    kept = Store(tmp_path / "results")
    for trial in trials:
        kept.put(make_record(trial))
        kept.collect()
    assert len(parsed) == len(trials)
    assert kept.records() == Store(kept.folder).records()
    losses = sorted(record.test_loss or 0 for record in kept.records().values())
    text = (kept.folder / RUNS).read_text()
    (kept.folder / RUNS).write_text(text.replace('"test_loss":1.0,', '"test_loss":2.0,', 1))
    parsed.clear()
    assert sorted(record.test_loss or 0 for record in kept.records().values()) == [*losses[1:], 2.0]
    assert len(parsed) == 1


def test_runs_without_an_epoch_have_a_history_that_is_read_again(tmp_path: Path, trials: list[Trial]) -> None:
    """All of the first runs failed before their first epoch, say."""
    kept = Store(tmp_path / "results")
    kept.put(make_record(trials[0], status="error", epochs=0, history=()))
    kept.collect()
    assert load_history(kept.folder).empty
    kept.put(make_record(trials[1]))
    assert len(kept.collect()) == 2
    assert len(load_history(kept.folder)) == trials[1].recipe.epochs


def test_lines_are_sorted_by_axes_and_seed(kept: Store) -> None:
    lines = [json.loads(line) for line in (kept.folder / RUNS).read_text().splitlines()]
    assert [(line["join"], line["seed_index"]) for line in lines] == [
        (j, s) for j in ("default", "lape") for s in (0, 1, 2)
    ]


@pytest.mark.parametrize("dies_at", [HISTORY, RUNS, "unlink"])
def test_a_crash_while_folding_loses_nothing(
    tmp_path: Path, trials: list[Trial], monkeypatch: pytest.MonkeyPatch, dies_at: str
) -> None:
    kept = Store(tmp_path / "results")
    kept.put(make_record(trials[0]))
    kept.collect()
    for trial in trials[1:]:
        kept.put(make_record(trial))

    def write_or_die(path: Path, content: bytes) -> None:
        if path.name == dies_at:
            raise KeyboardInterrupt
        files.write_atomic(path, content)

    unlink = Path.unlink

    def unlink_or_die(path: Path, missing_ok: bool = False) -> None:
        if path.suffix == ".json" and not path.name.startswith("."):
            raise KeyboardInterrupt
        unlink(path, missing_ok)

    with monkeypatch.context() as patch:
        patch.setattr(folder, "write_atomic", write_or_die)
        if dies_at == "unlink":
            patch.setattr(Path, "unlink", unlink_or_die)
        with pytest.raises(KeyboardInterrupt):
            kept.collect()
    assert kept.records().keys() == {trial.id for trial in trials}
    kept.collect()
    assert kept.records().keys() == {trial.id for trial in trials}
    assert len(load_history(kept.folder)) == sum(trial.recipe.epochs for trial in trials)


def test_a_text_may_hold_any_line_separator(tmp_path: Path, trials: list[Trial]) -> None:
    kept = Store(tmp_path / "results")
    kept.put(make_record(trials[0], status="error", error="one\u2028two\u0085three\nfour"))
    kept.collect()
    assert kept.records()[trials[0].id].error == "one\u2028two\u0085three\nfour"


def test_a_newer_run_replaces_an_older_one_but_no_failure_a_result(tmp_path: Path, trials: list[Trial]) -> None:
    kept = Store(tmp_path / "results")
    steps = [("error", None, "error"), ("done", 60.0, "done"), ("error", None, "done"), ("done", 70.0, "done")]
    for status, top1, expected in steps:
        kept.put(make_record(trials[0], top1 or 0.0, status=status))
        kept.collect()
        assert kept.records()[trials[0].id].status == expected
    assert kept.records()[trials[0].id].top1 == 70.0
    assert set(load_history(kept.folder)["top1"]) == {70.0}


class TestWriting:
    @pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT])
    def test_a_full_disk_is_told_and_harms_nothing(
        self, kept: Store, trials: list[Trial], monkeypatch: pytest.MonkeyPatch, code: int
    ) -> None:
        before = {path: path.read_bytes() for path in kept.folder.rglob("*") if path.is_file()}

        def full(descriptor: int) -> None:
            raise OSError(code, os.strerror(code))

        monkeypatch.setattr(os, "fsync", full)
        with pytest.raises(InputError, match="the disk is full"):
            kept.put(make_record(trials[0], 99.0))
        assert {path: path.read_bytes() for path in kept.folder.rglob("*") if path.is_file()} == before

    def test_a_folder_that_is_a_file(self, tmp_path: Path, trials: list[Trial]) -> None:
        (tmp_path / "results").write_text("")
        with pytest.raises(InputError, match="can't write"):
            Store(tmp_path / "results").put(make_record(trials[0]))
        for use in (Store(tmp_path / "results").lock().__enter__, Store(tmp_path / "results" / "small").records):
            with pytest.raises(InputError, match="results is a file"):
                use()


class TestLock:
    def test_the_second_is_told_who_holds_it(self, tmp_path: Path) -> None:
        kept = Store(tmp_path / "results")
        with kept.lock(), pytest.raises(InputError, match=f"process {os.getpid()} on .*, since 20"), kept.lock():
            pass
        with kept.lock():
            pass

    def test_it_goes_with_a_process_that_is_killed(self, tmp_path: Path) -> None:
        code = (
            "import os, signal, sys; from pathlib import Path; from suite.store.folder import Store\n"
            "with Store(Path(sys.argv[1])).lock():\n    os.kill(os.getpid(), signal.SIGKILL)"
        )
        ended = subprocess.run([sys.executable, "-c", code, str(tmp_path / "results")], check=False)
        assert ended.returncode == -9
        with Store(tmp_path / "results").lock():
            pass


class TestFrame:
    def test_columns_and_types(self, kept: Store) -> None:
        frame = load_frame(kept.folder)
        documented = [
            "trial_id",
            "grid",
            "status",
            "arch",
            "pe",
            "join",
            "norm",
            "loss",
            "dataset",
            "recipe",
            "seed_index",
            "epochs",
            "top1",
            "top1_best_epoch",
            "test_loss",
            "params",
            "macs",
            "train_seconds",
            "images_per_second",
            "peak_memory_mb",
            "environment",
        ]
        assert set(documented) <= set(frame.columns)
        assert len(frame) == 6
        assert (frame["environment"] == "torch 2.15.0, cpu, fp32").all()
        assert frame["recipe_id"].nunique() == 1
        assert load_frame(kept.folder / RUNS).equals(frame)

    def test_missing_numbers_are_nan(self, tmp_path: Path, trials: list[Trial]) -> None:
        kept = Store(tmp_path / "results")
        kept.put(make_record(trials[0], status="error", error="boom", params=None))
        frame = load_frame(kept.folder)
        assert frame[["top1", "params", "test_loss"]].isna().all(axis=None)
        assert frame["top1"].dtype == np.float64

    def test_no_folder(self, tmp_path: Path) -> None:
        with pytest.raises(InputError, match="no results"):
            load_frame(tmp_path / "nowhere")

    def test_another_recipe_has_another_id(self, tmp_path: Path, write_grid: Callable[..., Path]) -> None:
        kept = Store(tmp_path / "results")
        for overrides in ([], ["recipe.lr=2e-3"]):
            kept.put(make_record(load_grid(write_grid(), overrides).expand().trials[0]))
        assert load_frame(kept.folder)["recipe_id"].nunique() == 2


@given(bits=st.lists(st.booleans(), min_size=1, max_size=100))
def test_bits_are_packed_and_unpacked(bits: list[bool]) -> None:
    array = np.array(bits)
    assert np.array_equal(unpack_bits(pack_bits(array), len(bits)), array)


def test_volatile_fields_are_fields() -> None:
    assert set(record.VOLATILE) <= set(RunRecord.model_fields)
