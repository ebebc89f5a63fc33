"""Curves that TensorBoard's own reader reads."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from suite.cli import main
from suite.errors import InputError
from suite.grid.grid import load_grid
from suite.grid.trial import Trial
from suite.run.curves import Curves, check_curves, write_curves
from suite.run.events import fan_out
from suite.store.beats import starting
from suite.store.record import RunRecord
from tests.records import Heard, make_record

pytestmark = pytest.mark.filterwarnings("default")  # TensorBoard's own

Write = Callable[..., Path]


@pytest.fixture
def trial(write_grid: Write) -> Trial:
    return load_grid(write_grid()).expand().trials[0]


def read(folder: Path) -> dict[str, list[tuple[int, float]]]:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    accumulator = EventAccumulator(str(folder))
    accumulator.Reload()
    return {
        tag: [(event.step, event.value) for event in accumulator.Scalars(tag)] for tag in accumulator.Tags()["scalars"]
    }


def with_tops(trial: Trial, *tops: float | None) -> RunRecord:
    record = make_record(trial)
    assert record.history is not None
    epochs = [
        record.history[0].model_copy(update={"epoch": number, "top1": top1, "train_loss": 2.0 - number})
        for number, top1 in enumerate(tops)
    ]
    return record.model_copy(update={"history": tuple(epochs)})


def test_tensorboard_reads_them(trial: Trial, tmp_path: Path) -> None:
    place = write_curves(with_tops(trial, 50.0, None, 62.5), tmp_path)
    assert place is not None
    assert place.parent == tmp_path
    assert place.name.endswith(f"_seed0_{trial.id}")
    assert read(place) == {
        "train/loss": [(0, 2.0), (1, 1.0), (2, 0.0)],
        "train/learning_rate": [(step, pytest.approx(0.1)) for step in range(3)],
        "test/top1": [(0, 50.0), (2, 62.5)],
        "test/loss": [(step, 1.0) for step in range(3)],
    }


def test_a_run_again_takes_the_place_of_the_one_before(trial: Trial, tmp_path: Path) -> None:
    write_curves(with_tops(trial, 10.0, 20.0), tmp_path)
    place = write_curves(with_tops(trial, 30.0), tmp_path)
    assert place is not None
    assert read(place)["test/top1"] == [(0, 30.0)]
    assert len(list(place.iterdir())) == 1


def test_names_of_a_stranger_stay_below_the_folder(trial: Trial, tmp_path: Path) -> None:
    record = with_tops(trial, 10.0).model_copy(update={"dataset": "../../x", "arch": "/a b\n<b>"})
    place = write_curves(record, tmp_path / "curves")
    assert place is not None
    assert place.parent == tmp_path / "curves"
    assert [path.name for path in tmp_path.iterdir() if path.is_dir()] == ["curves"]


def test_what_cannot_be_written_ends_no_run(trial: Trial, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_text("")
    heard = Heard()
    told = fan_out(Curves(tmp_path / "file"), heard)
    told.started(trial)
    told.progressed(starting(trial.id))
    for _ in range(2):
        heard.records.clear()
        told.finished(make_record(trial))
    assert (heard.starts, len(heard.beats), list(heard.records)) == ([trial.id], 1, [trial.id])
    Curves(tmp_path / "other").finished(make_record(trial, status="error", history=None))  # it has no curves
    assert not (tmp_path / "other").exists()
    assert capsys.readouterr().err.count("can't be written") == 1


def test_it_is_said_before_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="not a folder"):
        check_curves(tmp_path / "file")
    monkeypatch.setattr("suite.run.curves.importlib.util.find_spec", lambda name: None)
    with pytest.raises(InputError, match="extra `tensorboard`"):
        check_curves(tmp_path)


def test_as_it_is_typed(
    write_grid: Write,
    tmp_path: Path,
    data_folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    arguments = ["run", str(write_grid()), "--executor", "serial", "--limit", "1", "--data", str(data_folder)]
    monkeypatch.setattr(sys, "argv", ["lape", *arguments, "--tensorboard", "curves"])
    with pytest.raises(SystemExit):
        main()
    out = capsys.readouterr().out
    (place,) = (tmp_path / "curves").iterdir()
    found = read(place)
    assert [step for step, _ in found["train/loss"]] == [0, 1]
    assert f"last {found['test/top1'][-1][1]:.2f} %" in out
