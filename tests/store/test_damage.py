"""Damaged results folders are told, and nothing in them is touched."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest

from suite.errors import InputError
from suite.grid.trial import Trial
from suite.store import record
from suite.store.folder import RUNS, Store
from suite.store.frames import load_history
from suite.store.history import HISTORY
from suite.store.record import SCHEMA_VERSION
from tests.records import make_record
from tests.store.test_folder import NOW


class TestDamage:
    def test_a_damaged_line_is_told_and_nothing_is_touched(self, kept: Store, trials: list[Trial]) -> None:
        path = kept.folder / RUNS
        lines = path.read_text().splitlines()
        lines[2] = lines[2][: len(lines[2]) // 2]
        path.write_text("\n".join(lines) + "\n")
        before = path.read_bytes()
        kept.put(make_record(trials[0], 99.0))
        with pytest.raises(InputError) as caught:
            kept.collect()
        message = str(caught.value)
        assert "runs.jsonl, line 3" in message
        assert "restore it" in message
        assert path.read_bytes() == before
        assert kept.has_spooled(trials[0].id)

    @pytest.mark.parametrize(
        "text", ["[" * 9**5, "[]", "{}", '{"schema_version": 1}', "null", '{"schema_version": ""}']
    )
    def test_a_line_that_is_no_record(self, kept: Store, text: str) -> None:
        (kept.folder / RUNS).write_text(text + "\n")
        with pytest.raises(InputError, match=r"damaged record[\s\S]*line 1"):
            kept.records()

    @pytest.mark.parametrize(
        ("old", "new", "told"),
        [
            ('"top1":50.0', '"top1":NaN', "NaN, which is not a number in JSON"),
            ('"top1":50.0', '"top1":150.0', "top1: Input should be less than or equal to 100"),
            ('"top1":50.0', '"top1":-1', "top1: Input should be greater than or equal to 0"),
            ('"top1":50.0', '"top1":null', "an accuracy and epochs of a run that is done"),
            ('"epochs":2,"top1"', '"epochs":0,"top1"', "an accuracy and epochs of a run that is done"),
            ('"test_loss":1.0', '"test_loss":Infinity', "Infinity, which is not a number in JSON"),
            ('"train_seconds":10.0', '"train_seconds":-10.0', "train_seconds"),
            ('"params":1000', f'"params":{10**20}', "params"),
            ('"trial_id":"', '"trial_id":"../../', "trial_id: String should match pattern"),
            ('"axes":', '"axis":', "a config that holds the trial's axes"),
            ('"recipe":{', '"recipe":[],"old":{', "a config that holds the trial's recipe"),
        ],
    )
    @pytest.mark.parametrize("place", ["runs.jsonl, line 1", ".json"])
    def test_a_record_that_cannot_be_true(
        self, tmp_path: Path, trials: list[Trial], old: str, new: str, told: str, place: str
    ) -> None:
        kept = Store(tmp_path / "results")
        kept.put(make_record(trials[0]))
        (path,) = (kept.folder / "spool").iterdir()
        if place == "runs.jsonl, line 1":
            kept.collect()
            path = kept.folder / RUNS
        assert old in path.read_text()
        path.write_text(path.read_text().replace(old, new, 1))
        with pytest.raises(InputError, match="damaged record") as caught:
            kept.records()
        assert told in str(caught.value)
        assert place in str(caught.value)

    def test_blank_lines_and_the_mark_of_an_editor_do_no_harm(self, kept: Store) -> None:
        records = kept.records()
        path = kept.folder / RUNS
        path.write_text("\ufeff" + path.read_text().replace("\n", "\r\n\n \n"))
        assert kept.records() == records

    @pytest.mark.parametrize("name", [RUNS, HISTORY, "spool/x.json"])
    def test_a_folder_in_place_of_a_file(self, tmp_path: Path, name: str) -> None:
        kept = Store(tmp_path / "results")
        (kept.folder / name).mkdir(parents=True)
        with kept.lock(), pytest.raises(InputError, match=name):
            kept.collect()

    def test_a_file_in_place_of_the_spool(self, tmp_path: Path) -> None:
        kept = Store(tmp_path / "results")
        kept.folder.mkdir()
        (kept.folder / "spool").write_text("")
        for use in (kept.lock().__enter__, kept.records, lambda: load_history(kept.folder)):
            with pytest.raises(InputError, match="spool is a file"):
                use()

    @pytest.mark.parametrize(
        ("changes", "message"),
        [
            ({"join": "shared"}, "join as in the config"),
            ({"pe": "sin1d", "dataset": "cifar10"}, "pe, dataset as in the config"),
            ({"seed_index": 99}, "seed_index as in the config"),
            ({"top1": 50.0, "top1_best_epoch": 49.0}, "no worse than the last"),
        ],
    )
    def test_a_record_that_contradicts_itself_is_damaged(
        self, kept: Store, trials: list[Trial], changes: dict[str, object], message: str
    ) -> None:
        path = kept.folder / RUNS
        first, *others = path.read_text().splitlines()
        path.write_text("\n".join([json.dumps({**json.loads(first), **changes}), *others]))
        with pytest.raises(InputError, match=rf"damaged record[\s\S]*{message}[\s\S]*line 1"):
            kept.records()

    def test_a_damaged_history_is_told_before_there_is_anything_to_fold(self, kept: Store, trials: list[Trial]) -> None:
        path = kept.folder / HISTORY
        history, whole = load_history(kept.folder), path.read_bytes()
        others = [pd.DataFrame({"a": [1]}), history.assign(top1="x")]
        for damaged in (whole[:-9], b"", *(frame.to_parquet() for frame in others)):
            for spooled in (kept.folder / "spool").iterdir():
                spooled.unlink()
            path.write_bytes(damaged)
            for use in (kept.collect, lambda: load_history(kept.folder)):
                with pytest.raises(InputError, match=r"history of the runs is damaged[\s\S]*history.parquet"):
                    use()
            kept.put(make_record(trials[0], 99.0))
            with pytest.raises(InputError, match="damaged"):
                kept.collect()
            assert kept.records()[trials[0].id].top1 == 99.0
            assert kept.has_spooled(trials[0].id)

    def test_a_record_of_a_newer_schema(self, kept: Store) -> None:
        path = kept.folder / RUNS
        path.write_text(path.read_text().replace(NOW, f'"schema_version":{SCHEMA_VERSION + 1}', 1))
        with pytest.raises(InputError, match=f"newer version[\\s\\S]*schema version {SCHEMA_VERSION + 1}"):
            kept.records()

    def test_an_older_record_is_migrated(self, kept: Store, monkeypatch: pytest.MonkeyPatch) -> None:
        """A record of version 0, whose accuracy was a fraction, becomes one of this version."""

        def percent(values: dict[str, object]) -> dict[str, object]:
            return {**values, "top1": float(str(values["top1"])) * 100}

        monkeypatch.setitem(record.MIGRATIONS, 0, percent)
        path = kept.folder / RUNS
        path.write_text(path.read_text().replace(NOW, '"schema_version":0').replace('"top1":50.0', '"top1":0.5'))
        assert {(one.schema_version, one.top1) for one in kept.records().values()} == {(SCHEMA_VERSION, 50.0)}

    def test_a_record_of_version_1_has_no_node(self, kept: Store) -> None:
        path, before = kept.folder / RUNS, kept.records()
        old = [json.loads(line) for line in path.read_text().splitlines()]
        for values in old:
            for name in ("node", "attempts", "machine_fault", "code"):
                del values[name]
            del values["environment"]["micro_batch"]
        path.write_text("\n".join(json.dumps({**values, "schema_version": 1}) for values in old))
        assert kept.records() == {name: one.model_copy(update={"code": None}) for name, one in before.items()}
        assert {(one.node, one.attempts, one.machine_fault) for one in before.values()} == {(None, 1, False)}

    def test_every_version_up_to_now_can_be_migrated(self) -> None:
        assert set(record.MIGRATIONS) == set(range(1, SCHEMA_VERSION))
