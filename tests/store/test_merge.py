"""Results of several machines come together: nothing is lost, and what contradicts itself is refused."""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from suite.cli import main
from suite.errors import InputError
from suite.grid.grid import load_grid
from suite.grid.trial import Trial
from suite.store import folder
from suite.store.files import write_atomic
from suite.store.folder import METHODS, RUNS, Store
from suite.store.frames import load_history
from suite.store.history import HISTORY
from suite.store.merge import merge
from suite.store.record import RunRecord
from tests.records import ENVIRONMENT, make_record


@pytest.fixture
def trials(write_grid: Callable[..., Path]) -> list[Trial]:
    return list(load_grid(write_grid(("[0, 1]", "[0, 1, 2]"))).expand().trials)


def results(folder: Path, *records: RunRecord, folded: bool = True) -> Path:
    kept = Store(folder)
    for record in records:
        kept.put(record)
    if folded:
        kept.collect()
    return folder


def state(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file() and path.name != ".lock"}


def test_runs_of_several_machines_are_one_folder(tmp_path: Path, trials: list[Trial]) -> None:
    a = results(tmp_path / "a", *(make_record(trial) for trial in trials[:3]))
    b = results(tmp_path / "b", *(make_record(trial) for trial in trials[2:5]), folded=False)
    there = results(tmp_path / "there", make_record(trials[5]))
    before = state(a), state(b)
    (joined,) = merge([a, b], there)
    assert (joined.there, dict(joined.added), dict(joined.replaced), joined.total) == (1, {a: 3, b: 2}, {}, 6)
    whole = results(tmp_path / "whole", *(make_record(trial) for trial in trials))
    for name in (RUNS, HISTORY):
        assert (there / name).read_bytes() == (whole / name).read_bytes()
    assert (state(a), state(b)) == before
    after = state(there)
    merge([a, b], there)
    assert state(there) == after


def test_folders_of_grids_are_joined_by_name(tmp_path: Path, trials: list[Trial]) -> None:
    for name, grid, trial in (("a", "one", 0), ("b", "one", 1), ("b", "two", 2)):
        results(tmp_path / name / grid, make_record(trials[trial]))
    (tmp_path / "b" / "no grid").mkdir()
    joined = merge([tmp_path / "a", tmp_path / "b"], tmp_path / "all")
    assert [(one.folder.name, one.total) for one in joined] == [("one", 2), ("two", 1)]
    assert Store(tmp_path / "all" / "one").records().keys() == {trials[0].id, trials[1].id}


def test_runs_of_a_grid_that_shares_no_trial_are_counted(tmp_path: Path, trials: list[Trial]) -> None:
    """They may be meant, or a folder may have been named by mistake."""
    there = results(tmp_path / "there", make_record(trials[0]))
    other = results(tmp_path / "a", *(make_record(trial, grid="other") for trial in trials[1:3]))
    shares = results(tmp_path / "b", *(make_record(trial, grid="shares") for trial in (trials[0], trials[3])))
    same = results(tmp_path / "c", make_record(trials[4]))
    (joined,) = merge([other, shares, same], there)
    assert dict(joined.strange) == {(other, "other"): 2}
    (joined,) = merge([other, shares, same], there)  # now it has them
    assert not joined.strange
    (joined,) = merge([other, same], tmp_path / "new")  # of the sources among themselves
    assert dict(joined.strange) == {(same, trials[0].grid): 1}


def test_a_failure_gives_way(tmp_path: Path, trials: list[Trial]) -> None:
    first, second, third, *_ = trials
    failed = make_record(first, status="error", error="boom", history=())
    there = results(tmp_path / "there", failed, make_record(second), make_record(third, status="oom", history=()))
    other = [
        make_record(first, 60.0),
        make_record(second, status="error", error="x"),
        make_record(third, status="error"),
    ]
    a = results(tmp_path / "a", *other)
    (joined,) = merge([a], there)
    assert (dict(joined.added), dict(joined.replaced)) == ({}, {a: 1})
    found = Store(there).records()
    assert [found[trial.id].status for trial in (first, second, third)] == ["done", "done", "oom"]
    assert found[first.id].top1 == 60.0
    assert set(load_history(there)["trial_id"]) == {first.id, second.id}


def test_what_may_differ(tmp_path: Path, trials: list[Trial]) -> None:
    """Times, machines and names; the destination's run stays."""
    one = make_record(trials[0])
    other = make_record(
        trials[0],
        train_seconds=99.0,
        started_at="2020-01-01T00:00:00+00:00",
        node="elsewhere",
        attempts=3,
        environment=ENVIRONMENT.model_copy(update={"processor": "another"}),
        grid="other_name",
    )
    there = results(tmp_path / "there", one)
    merge([results(tmp_path / "a", other)], there)
    assert Store(there).records()[trials[0].id].train_seconds == 10.0


def test_conflicts_are_refused_with_their_names_and_nothing_is_written(tmp_path: Path, trials: list[Trial]) -> None:
    first, second, *_ = trials
    there = results(tmp_path / "there" / "one", make_record(first), make_record(second, 40.0, test_loss=2.0))
    a = results(tmp_path / "a" / "one", make_record(first), make_record(second, 50.0, test_loss=2.5))
    results(tmp_path / "a" / "a_grid_before_it", make_record(first))
    before = state(tmp_path)
    with pytest.raises(InputError) as caught:
        merge([tmp_path / "a"], tmp_path / "there")
    (problem,) = caught.value.problems
    assert second.id in problem.what
    assert "top1: 40.0 and 50.0" in problem.found
    assert "test_loss: 2.0 and 2.5" in problem.found
    assert str(there) in problem.where
    assert str(a) in problem.where
    assert state(tmp_path) == before
    b = results(tmp_path / "b" / "one", make_record(second, 60.0))
    with pytest.raises(InputError, match="in conflict"):  # of the sources among themselves
        merge([a, b], tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_weights_come_with_their_run_as_files_of_their_own(tmp_path: Path, trials: list[Trial]) -> None:
    first, second, *_ = trials
    failed = make_record(first, status="error", error="boom")
    there, a = results(tmp_path / "there", failed), results(tmp_path / "a", make_record(first), make_record(second))
    b = results(tmp_path / "b", make_record(second))
    for where, trial, content in ((a, first, b"one"), (b, second, b"two"), (b, trials[2], b"of no run")):
        path = Store(where).weights(trial.id)
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content)
    (joined,) = merge([a, b], there)
    assert joined.weights == 2
    paths = [Store(there).weights(trial.id) for trial in (first, second)]
    assert [path.read_bytes() for path in paths] == [b"one", b"two"]
    assert [path.stat().st_nlink for path in paths] == [1, 1]
    assert len(list(paths[0].parent.iterdir())) == 2


def test_copies_of_method_files_come_along(tmp_path: Path, trials: list[Trial]) -> None:
    there, a, b = (results(tmp_path / name, make_record(trial)) for name, trial in zip("tab", trials, strict=False))
    written = ("one = 1\r\n", "two = 2\n", "three = 'é'\n")
    texts = {hashlib.sha256(text.encode()).hexdigest()[:16]: text for text in written}
    for place, names in ((there, list(texts)[:1]), (a, list(texts)[:2]), (b, list(texts)[1:])):
        for name in names:
            Store(place).keep_method(name, texts[name])
    (joined,) = merge([a, b], there)
    assert joined.methods == 2
    assert Store(there).methods() == texts
    assert {path.read_bytes() for path in (there / METHODS).iterdir()} == {text.encode() for text in texts.values()}
    (b / METHODS / f"{next(iter(texts))}.py").write_text("another = 1\n")
    before = state(tmp_path)
    with pytest.raises(InputError, match="the copy of a method file is damaged"):
        merge([a, b], there)
    assert state(tmp_path) == before


def test_a_curve_that_one_folder_lost_comes_from_another(tmp_path: Path, trials: list[Trial]) -> None:
    a, b = (results(tmp_path / name, make_record(trials[0])) for name in "ab")
    (a / HISTORY).unlink()
    merge([a, b], tmp_path / "there")
    assert len(load_history(tmp_path / "there")) == trials[0].recipe.epochs


def test_a_crash_loses_nothing(tmp_path: Path, trials: list[Trial], monkeypatch: pytest.MonkeyPatch) -> None:
    a = results(tmp_path / "a", *(make_record(trial) for trial in trials[:3]))
    there = results(tmp_path / "there", *(make_record(trial) for trial in trials[3:]))
    write = write_atomic

    def write_or_die(path: Path, content: bytes) -> None:
        if path.name == RUNS:
            raise KeyboardInterrupt
        write(path, content)

    with monkeypatch.context() as patch:
        patch.setattr(folder, "write_atomic", write_or_die)
        with pytest.raises(KeyboardInterrupt):
            merge([a], there)
    assert len(Store(there).records()) == 3
    assert len(Store(a).records()) == 3
    merge([a], there)
    assert len(Store(there).records()) == 6
    assert len(load_history(there)) == 6 * trials[0].recipe.epochs


def test_a_run_in_the_destination_is_not_disturbed(tmp_path: Path, trials: list[Trial]) -> None:
    a, there = results(tmp_path / "a", make_record(trials[0])), results(tmp_path / "there", make_record(trials[1]))
    with Store(there).lock(), pytest.raises(InputError, match="being run already"):
        merge([a], there)
    assert len(Store(there).records()) == 1


class TestBadInput:
    def test_places(self, tmp_path: Path, trials: list[Trial]) -> None:
        a = results(tmp_path / "grids" / "a", make_record(trials[0]))
        b = results(tmp_path / "b", make_record(trials[1]))
        for sources, there, told in (
            ([tmp_path / "nowhere"], b, "no results to merge"),
            ([tmp_path / "small.yaml"], b, "not a folder"),
            ([a], a, "are one"),
            ([a], tmp_path / "grids", "are one"),
            ([a / RUNS], a, "are one"),
            ([a, tmp_path / "grids"], tmp_path / "new", "single grids together"),
            ([b], tmp_path / "grids", "into a folder of grids"),
            ([tmp_path / "grids"], b, "into a single grid"),
        ):
            with pytest.raises(InputError, match=told) as caught:
                merge(sources, there)
            (problem,) = caught.value.problems
            assert all((problem.expected, problem.found, problem.where, problem.fix))
        assert not (tmp_path / "new").exists()

    def test_what_is_damaged(self, tmp_path: Path, trials: list[Trial]) -> None:
        a, b = results(tmp_path / "a", make_record(trials[0])), results(tmp_path / "b", make_record(trials[1]))
        (a / RUNS).write_text((a / RUNS).read_text()[:100])
        with pytest.raises(InputError, match="damaged record"):
            merge([a], b)
        assert len(Store(b).records()) == 1


def test_the_command(
    tmp_path: Path, trials: list[Trial], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def lape(*arguments: str | Path) -> int:
        monkeypatch.setattr(sys, "argv", ["lape", *map(str, arguments)])
        with pytest.raises(SystemExit) as stop:
            main()
        return int(stop.value.code or 0)

    a, b = results(tmp_path / "a", make_record(trials[0])), results(tmp_path / "b", make_record(trials[1]))
    assert lape("merge", a, b / RUNS, tmp_path / "there") == 0
    out = capsys.readouterr().out
    assert "there: 2 runs; 0 were there, 1 new from" in out
    assert "note:" not in out
    c = results(tmp_path / "c", make_record(trials[2], grid="other"))
    assert lape("merge", c, tmp_path / "there") == 0
    (note,) = (line for line in capsys.readouterr().out.splitlines() if line.startswith("note: "))
    assert f"1 run of the grid other from {c}" in note
    assert lape("merge", a) == 2
    assert "nothing to merge" in capsys.readouterr().err


def test_a_kill_in_the_middle(tmp_path: Path, trials: list[Trial]) -> None:
    """A process of its own, killed when the curves are in place and the records aren't."""
    a = results(tmp_path / "a", *(make_record(trial) for trial in trials[:3]))
    there = results(tmp_path / "there", *(make_record(trial) for trial in trials[3:]))
    program = (
        "import os, signal, sys; from pathlib import Path; from suite.store import folder\n"
        "from suite.store.merge import merge\n"
        "write = folder.write_atomic\n"
        "def die(path, content):\n"
        f"    os.kill(os.getpid(), {int(signal.SIGKILL)}) if path.name == 'runs.jsonl' else write(path, content)\n"
        "folder.write_atomic = die\n"
        "merge([Path(sys.argv[1])], Path(sys.argv[2]))"
    )
    ended = subprocess.run([sys.executable, "-c", program, str(a), str(there)], check=False, cwd=os.getcwd())
    assert ended.returncode == -signal.SIGKILL
    merge([a], there)
    assert len(Store(there).records()) == 6
