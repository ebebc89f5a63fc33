"""Bad input of commands that read a grid, its data or its results: one message, exit code 2, nothing lost."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from suite.grid.grid import load_grid
from suite.store.folder import Store
from suite.store.record import SCHEMA_VERSION
from tests.cli.shell import Shell, Write
from tests.records import make_record


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("seeds: [0, 1]", "seeds: [0, 1]\nseeds: [2]", "the same key twice"),
        ("seeds: [0, 1]", "seeds: [0, 1", "not YAML"),
        ("seeds: [0, 1]", "seeds: [0, 1]\nsedes: 1", "did you mean 'seeds'"),
        ("arch: [tiny]", "arch: [tinny]", "unknown architecture 'tinny'"),
        ("[learnable]", "[sin1]", "did you mean 'sin1d'"),
        ("[default, lape]", "[default, lap]", "did you mean 'lape'"),
        ("[digits]", "[digit]", "did you mean 'digits'"),
        ("[default, lape]", "[]", "at least 1 entry"),
        ("seeds:", "exclude: [{when: {pe: learnable}, reason: r}]\nseeds:", "no cells"),
        ("epochs: 2", "epochs: '2'", "'2' (str)"),
        ("epochs: 2", "epochs: -2", "a number of at least 1"),
        ("patch_size: 4", "patch_size: 5", "divisible by the patch size"),
        ("num_heads: 2", "num_heads: 3", "divisible by the number of heads"),
        ("version: 1", "version: 1, distillation: hard", "needs a teacher"),
        ("version: 1", f"version: 1, distillation: soft, teacher: t, teacher_sha256: {'a' * 64}", "deit_distilled"),
        ("embed_dim: 8", "embed_dim: 6}\n  other: {family: vit_lite, embed_dim: 10", "a value"),
        ("[default, lape]", "[unshared]\n  norm: [ln]", ""),
        ("[learnable]", "[none]", "nothing to join"),
    ],
)  # fmt: skip
def test_grids(lape: Shell, write_grid: Write, old: str, new: str, told: str) -> None:
    path = write_grid((old, new))
    if told:
        assert told in lape.refuses("run", path)


def test_sin2d_and_unshared(lape: Shell, write_grid: Write) -> None:
    assert "divisible by 4" in lape.refuses(
        "run", write_grid(("[learnable]", "[sin2d]"), ("embed_dim: 8", "embed_dim: 6"))
    )
    changes = ("[learnable]", "[sin1d]"), ("[default, lape]", "[unshared]")
    assert "learns a table per block" in lape.refuses("run", write_grid(*changes))


def test_a_missing_file(lape: Shell, tmp_path: Path) -> None:
    assert "no such file" in lape.refuses("run", tmp_path / "nothing.yaml")


def test_data_that_are_not_prepared(lape: Shell, write_grid: Write, tmp_path: Path) -> None:
    message = lape.refuses("run", write_grid(), "--data", tmp_path / "empty")
    assert "lape data prepare digits" in message


def test_data_that_are_damaged(
    lape: Shell, write_grid: Write, data_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are found while Ray starts, which is undone."""
    calls: list[str] = []
    monkeypatch.setattr("suite.run.ray.starting.start_ray", lambda dashboard: calls.append("started"))
    monkeypatch.setattr("ray.shutdown", lambda: calls.append("shut down"))
    shutil.copytree(data_folder, tmp_path / "data")
    images = tmp_path / "data" / "digits" / "train-images.npy"
    content = bytearray(images.read_bytes())
    content[-7] ^= 1
    images.write_bytes(content)
    message = lape.refuses("run", write_grid(), "--data", tmp_path / "data")
    assert "SHA-256" in message
    assert calls == ["started", "shut down"]


def test_results_that_cannot_be_written(lape: Shell, write_grid: Write, tmp_path: Path) -> None:
    (tmp_path / "results").write_text("a file where the folder should be")
    path = write_grid()
    for command in ("run", "plan", "status", "tables", "verify", "report"):
        assert "results is a file" in lape.refuses(command, path)


@pytest.mark.parametrize(
    ("name", "is_folder"),
    [
        ("results/small", False),
        ("results/small/spool", False),
        ("results/small/runs.jsonl", True),
        ("results/small/.lock", True),
        ("results/small/history.parquet", True),
        ("results/small/spool/x.json", True),
        ("reports", False),
        ("reports/small", False),
    ],
)
def test_a_run_trains_nothing_that_it_could_not_store(
    lape: Shell, write_grid: Write, tmp_path: Path, name: str, is_folder: bool
) -> None:
    place = tmp_path / name
    place.parent.mkdir(parents=True, exist_ok=True)
    if is_folder:
        place.mkdir()
    else:
        place.write_text("in the way")
    assert name in lape.refuses("run", write_grid(), "--executor", "serial")
    assert "done" not in lape.out


@pytest.mark.parametrize("name", ["", "/", ".", "folder"])
def test_a_file_to_write_has_a_name(lape: Shell, finished: Path, tmp_path: Path, name: str) -> None:
    (tmp_path / "folder").mkdir()
    before = sorted(tmp_path.iterdir())
    for arguments in (
        ["plan", finished, "--csv"],
        ["cost", "--arch", "deit_tiny", "--csv"],
        ["bench", "--arch", "deit_tiny", "--csv"],
        ["bench", "--throughput", "--json"],
    ):
        told = lape.refuses(*arguments, name)
        assert "the name of a file" in told
        assert "permissions" not in told
    assert sorted(tmp_path.iterdir()) == before


def test_answers_that_are_not_those_of_an_accuracy_are_told_with_their_folder(
    lape: Shell, write_grid: Write, tmp_path: Path
) -> None:
    path, store = write_grid(), Store(tmp_path / "results" / "small")
    trial = load_grid(path).expand().trials[0]
    store.put(make_record(trial, 80.0, correct=make_record(trial, 70.0).correct))
    for command in ("tables", "verify", "report"):
        assert f"where:      {store.folder / 'runs.jsonl'}, trial {trial.id}" in lape.refuses(command, path)


def test_places_that_are_no_folders(lape: Shell, write_grid: Write, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    path, long = write_grid(), tmp_path / ("x" * 300)
    for arguments in (
        ["run", path, "--data"],
        ["data", "ls", "--data"],
        ["data", "prepare", "digits", "--data"],
        ["tables", path, "--reports"],
        ["report", path, "--reports"],
        ["status", path, "--results"],
    ):
        assert "file is a file" in lape.refuses(*arguments, tmp_path / "file")
        assert "File name too long" in lape.refuses(*arguments, long)
    assert "can't be read" in lape.refuses("plan", long)
    assert "no such grid" in lape.refuses("plan", "x" * 300)


def test_links_in_a_circle(lape: Shell, finished: Path, tmp_path: Path) -> None:
    loop = tmp_path / "loop"
    loop.symlink_to("loop")
    for arguments in (
        ["run", finished, "--executor", "serial", "--results"],
        ["status", finished, "--results"],
        ["report", finished, "--reports"],
        ["run", finished, "--executor", "serial", "--data"],
        ["run", finished, "--executor", "serial", "--storage"],
        ["merge", tmp_path / "results" / "small"],
        ["verify", "--static"],
        ["check"],
    ):
        for place in (loop, loop / "inside.yaml"):
            told = lape.refuses(*arguments, place).lower()
            assert "symlink loop" in told or "too many levels of symbolic links" in told


def test_a_history_that_is_damaged_or_lost(lape: Shell, finished: Path, tmp_path: Path) -> None:
    history = tmp_path / "results" / "small" / "history.parquet"
    history.write_bytes(b"PAR1")
    assert "history.parquet" in lape.refuses("report", finished)
    assert "history.parquet" in lape.refuses("run", finished, "--seeds", "3", "--executor", "serial")
    assert "done" not in lape.out
    history.unlink()
    lape("report", finished)
    page = (tmp_path / "reports" / "small" / "index.html").read_text()
    assert "history.parquet lacks the epochs of 4 finished runs" in page


def test_a_damaged_line_keeps_all_others(lape: Shell, finished: Path, tmp_path: Path) -> None:
    runs = tmp_path / "results" / "small" / "runs.jsonl"
    runs.write_text(runs.read_text().replace("{", "", 1))
    before = runs.read_bytes()
    for command in ("run", "status", "plan", "tables", "verify", "report"):
        assert "runs.jsonl, line 1" in lape.refuses(command, finished)
    assert runs.read_bytes() == before


def test_a_record_of_a_newer_schema(lape: Shell, finished: Path, tmp_path: Path) -> None:
    runs = tmp_path / "results" / "small" / "runs.jsonl"
    runs.write_text(
        runs.read_text().replace(f'"schema_version":{SCHEMA_VERSION}', f'"schema_version":{SCHEMA_VERSION + 1}')
    )
    assert "update the suite" in lape.refuses("run", finished)


def test_two_runs_at_once(lape: Shell, write_grid: Write, tmp_path: Path) -> None:
    with Store(tmp_path / "results" / "small").lock():
        message = lape.refuses("run", write_grid(), "--executor", "serial")
    assert f"process {os.getpid()} on" in message


def test_arguments(lape: Shell, write_grid: Write) -> None:
    path = write_grid()
    for arguments, told in (
        (["run", path, "--executor", "slurm"], "unknown executor 'slurm'"),
        (["run", path, "--retry", "eror"], "did you mean 'error'"),
        (["run", path, "--executor", "serial", "--device", "tpu"], "can't use the device 'tpu'"),
        (["run", path, "--set", "recipe.epoch=3"], "did you mean 'epochs'"),
        (["run", path, "--executor", "serial", "--address", "auto"], "--address auto with --executor serial"),
        (["run", path, "--executor", "serial", "--gpus-per-trial", "1"], "the serial executor gives a trial the whole"),
        (["run", path, "--gpus-per-trial", "1", "--device", "cpu"], "GPUs for trials that train on the CPU"),
        (["plan", path, "--gpus-per-trial", "1"], "together with --address or --nodes"),
        (["run", path, "--threads", "999999999999"], "from 1 to 1024"),
        (["run", path, "--seeds", "99999"], "from 1 to 1000"),
        (["run", path, "--micro-batch", "65"], "at most 64, the batch size"),
        (["run", path, "--processes", "65"], "more processes than images"),
        (["run", path, "--processes", "3", "--gpus-per-trial", "2"], "2, one for each GPU"),
        (["plan", path, "--set", "axes.join=[lap]"], "--set axes.join=[lap]"),
        (["data", "prepare", "mine", "--from", ".", "--image-size", "99999999"], "from 1 to 4096"),
        (["ls", "nets"], "unknown kind of thing 'nets'"),
        (["data", "prepare", "cifar1"], "cifar1"),
    ):
        assert told in lape.refuses(*arguments)


def test_a_device_is_checked_though_nothing_is_to_run(lape: Shell, finished: Path) -> None:
    for command in ("run", "plan"):
        assert "--device foo" in lape.refuses(command, finished, "--device", "foo")
        lape(command, finished, "--device", "cuda:1")
        assert lape.code == 0, lape.err


@pytest.mark.parametrize(
    "arguments", [["nonsense"], ["run"], ["run", "x", "--limit", "0"], ["run", "x", "--seeds", "two"]]
)
def test_usage(lape: Shell, arguments: list[str]) -> None:
    lape(*arguments)
    assert lape.code == 2
    assert "Usage:" in lape.err


@pytest.mark.parametrize(
    "arguments",
    [
        ("try", "lape", "--hours"),
        ("run", "quickstart", "--until-decided", "--hours"),
        ("run", "quickstart", "--time-limit"),
        ("run", "quickstart", "--retry-wait"),
        ("run", "quickstart", "--snapshot-minutes"),
        ("status", "quickstart", "--watch", "--every"),
    ],
)
@pytest.mark.parametrize("number", ["inf", "nan", "-1"])
def test_times_are_finite(lape: Shell, arguments: tuple[str, ...], number: str, tmp_path: Path) -> None:
    lape(*arguments, number)
    assert lape.code == 2
    assert arguments[-1] in lape.err
    assert not list(tmp_path.iterdir())
