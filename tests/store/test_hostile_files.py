"""A folder of results from somebody else runs no code, reaches nothing outside of it, and costs no memory."""

from __future__ import annotations

import ast
import json
import os
import pickle
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from suite.cli import main
from suite.errors import InputError
from suite.grid.grid import load_grid
from suite.grid.trial import Trial
from suite.run.outcomes import Outcomes
from suite.store.beats import RUNNING
from suite.store.folder import LOCK, RUNS, SNAPSHOTS, SPOOL, WEIGHTS, Store
from suite.store.frames import load_frame, load_history
from suite.store.history import HISTORY
from suite.store.merge import merge
from suite.store.shared_store import SharedStore
from suite.store.storage import open_storage
from tests.conftest import REPOSITORY
from tests.records import make_record

Write = Callable[..., Path]


class Trap:
    """Unpickled, it makes a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.folder),)


@pytest.fixture
def trials(write_grid: Write) -> list[Trial]:
    return list(load_grid(write_grid()).expand().trials)


@pytest.fixture
def kept(tmp_path: Path, trials: list[Trial]) -> Store:
    store = Store(tmp_path / "results" / "small")
    for trial in trials:
        store.put(make_record(trial))
    store.collect()
    return store


@pytest.fixture
def lape(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path, data_folder: Path
) -> Callable[..., tuple[int, str]]:
    monkeypatch.setenv("LAPE_DATA", str(data_folder))
    monkeypatch.chdir(tmp_path)

    def lape(*arguments: str | Path) -> tuple[int, str]:
        monkeypatch.setattr(sys, "argv", ["lape", *map(str, arguments)])
        with pytest.raises(SystemExit) as stop:
            main()
        return int(stop.value.code or 0), "".join(capsys.readouterr())

    return lape


# ── the code itself ───────────────────────────────────────────────────────────────────────────────────

FORBIDDEN_MODULES = {"pickle", "cloudpickle", "dill", "joblib", "shelve", "marshal", "jsonpickle", "yaml"}
FORBIDDEN_CALLS = {"eval", "exec", "compile", "__import__", "read_pickle", "to_pickle", "literal_eval"}
LOADER = REPOSITORY / "suite/grid/methods.py"  # runs what --methods names, and nothing else: tests/cli/test_methods.py


def calls(tree: ast.AST) -> Iterator[tuple[str, str, ast.Call]]:
    """Each call: what it is called on, and its name."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            if isinstance(node.func, ast.Attribute):
                yield ast.unparse(node.func.value), node.func.attr, node
            elif isinstance(node.func, ast.Name):
                yield "", node.func.id, node


def test_nothing_is_unpickled_or_evaluated_by_the_suite() -> None:
    found = []
    for path in sorted((REPOSITORY / "suite").rglob("*.py")):
        tree, where = ast.parse(path.read_text(encoding="utf-8")), path.relative_to(REPOSITORY)
        for node in ast.walk(tree):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            found += [f"{where}: import {name}" for name in names if name.split(".")[0] in FORBIDDEN_MODULES]
        for on, name, call in calls(tree):
            keywords = {one.arg: ast.unparse(one.value) for one in call.keywords}
            evaluates = name in FORBIDDEN_CALLS and on in ("", "builtins", "pd", "pandas") and path != LOADER
            if evaluates or name == "read_pickle":
                found.append(f"{where}, line {call.lineno}: {name}")
            if name == "load" and on == "torch" and keywords.get("weights_only") != "True":
                found.append(f"{where}, line {call.lineno}: torch.load without weights_only=True")
            if (name == "load" and on in ("np", "numpy")) or keywords.get("allow_pickle", "False") != "False":
                found.append(f"{where}, line {call.lineno}: numpy.load, which may be told to unpickle")
            if name == "YAML" and keywords.get("typ", "'rt'") not in ("'rt'", "'safe'"):
                found.append(f"{where}, line {call.lineno}: a YAML loader that builds objects")
            if keywords.get("shell", "False") != "False" or (on, name) == ("os", "system"):
                found.append(f"{where}, line {call.lineno}: a shell")
    assert not found


# ── hostile files ─────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("protocol", [0, 4])
@pytest.mark.parametrize("name", [RUNS, HISTORY, f"{SPOOL}/0123456789abcdef.json"])
def test_a_pickle_is_damage_whatever_it_is_called(
    kept: Store, tmp_path: Path, name: str, protocol: int, lape: Callable[..., tuple[int, str]]
) -> None:
    content = pickle.dumps(Trap(tmp_path / "ran"), protocol)
    (kept.folder / name).write_bytes(content)
    for command in ("report", "run"):
        code, told = lape(command, tmp_path / "small.yaml")
        assert code == 2
        assert "damaged" in told
        assert Path(name).name in told
    assert not (tmp_path / "ran").exists()
    pickle.loads(content)
    assert (tmp_path / "ran").is_dir()  # it was a trap


@pytest.mark.parametrize("protocol", [0, 4])
def test_a_pickle_as_weights_or_snapshot_is_not_run(
    kept: Store, trials: list[Trial], tmp_path: Path, protocol: int, lape: Callable[..., tuple[int, str]]
) -> None:
    from suite.store.versions import Versions
    from suite.train.snapshot import Snapshots

    content = pickle.dumps(Trap(tmp_path / "ran"), protocol)
    weights = kept.weights(trials[0].id)
    weights.parent.mkdir()
    weights.write_bytes(content)
    code, told = lape("inspect", weights)
    assert code == 2
    assert "damaged" in told
    versions = Versions(kept.snapshots(), trials[0].id)
    versions.add(content)
    assert Snapshots(Versions(kept.snapshots(), trials[0].id), 0.0, {}).last() is None
    assert not (tmp_path / "ran").exists()


LINKS = [RUNS, HISTORY, SPOOL, WEIGHTS, SNAPSHOTS, RUNNING, LOCK, f"{SPOOL}/0123456789abcdef.json"]


@pytest.mark.parametrize("name", LINKS)
def test_a_link_out_of_the_folder_is_refused_and_not_followed(
    kept: Store, trials: list[Trial], tmp_path: Path, name: str, lape: Callable[..., tuple[int, str]]
) -> None:
    """Neither is what is outside printed, nor written, nor removed."""
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "0123456789abcdef.json").write_text("my secret")
    path = kept.folder / name
    if path.is_dir():
        shutil.rmtree(path)
    path.unlink(missing_ok=True)
    is_file = name in (RUNS, HISTORY, LOCK) or name.endswith(".json")
    path.symlink_to(outside / "0123456789abcdef.json" if is_file else outside)
    code, told = lape("run", tmp_path / "small.yaml", "--executor", "serial")
    assert code == 2, told
    assert "a link leads out of a folder of results" in told
    assert "my secret" not in told
    assert [file.read_text() for file in outside.iterdir()] == ["my secret"]
    other = Store(tmp_path / "other")
    other.put(make_record(trials[0]))
    with pytest.raises(InputError):
        merge([tmp_path / "other"], kept.folder)
    assert [file.read_text() for file in outside.iterdir()] == ["my secret"]


def test_reading_alone_follows_no_link_either(kept: Store, tmp_path: Path) -> None:
    (tmp_path / "outside").write_text("my secret")
    for name in (RUNS, HISTORY):
        (kept.folder / name).unlink()
        (kept.folder / name).symlink_to(tmp_path / "outside")
    uses: tuple[Callable[[], object], ...] = (
        lambda: load_frame(kept.folder),
        lambda: load_history(kept.folder),
        lambda: Outcomes(kept.folder).read(),
        lambda: merge([kept.folder], tmp_path / "new"),
    )
    for use in uses:
        with pytest.raises(InputError, match="a link leads out") as caught:
            use()
        assert "my secret" not in str(caught.value)
    assert not (tmp_path / "new").exists()


def test_links_to_a_folder_of_results_are_its_owners(kept: Store, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").symlink_to(kept.folder)
    linked = Store(tmp_path / "elsewhere")
    with linked.lock():
        assert linked.collect().keys() == kept.records().keys()
    (kept.folder / "spool2").mkdir()
    (kept.folder / SPOOL).rmdir()
    (kept.folder / SPOOL).symlink_to("spool2")  # inside it stays inside
    assert len(kept.records()) == 4


def test_links_in_a_circle(kept: Store) -> None:
    (kept.folder / RUNS).unlink()
    (kept.folder / RUNS).symlink_to(RUNS)
    with pytest.raises(InputError):
        kept.records()


@pytest.mark.parametrize("name", [RUNS, HISTORY, f"{SPOOL}/0123456789abcdef.json"])
def test_a_pipe_is_not_waited_for(kept: Store, name: str) -> None:
    path = kept.folder / name
    path.unlink(missing_ok=True)
    os.mkfifo(path)
    with pytest.raises(InputError, match="can't be read"):
        kept.collect()


@pytest.mark.parametrize("evil", ["../../../evil", "/tmp/evil", "..", "%2e%2e", "0123456789abcde\n", "<b>", ""])
def test_an_id_that_is_a_path_is_damage(kept: Store, trials: list[Trial], evil: str, tmp_path: Path) -> None:
    record = json.loads(make_record(trials[0]).model_dump_json()) | {"trial_id": evil}
    spooled = kept.folder / SPOOL / f"{trials[0].id}.json"
    spooled.write_text(json.dumps(record))
    with pytest.raises(InputError, match="damaged record"):
        kept.collect()
    spooled.unlink()
    with (kept.folder / RUNS).open("a") as file:
        file.write(json.dumps(record) + "\n")
    with pytest.raises(InputError, match="damaged record"):
        merge([kept.folder], tmp_path / "new")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["results", "small.yaml"]


def test_a_spool_file_by_the_name_of_another_trial_is_damage(kept: Store, trials: list[Trial]) -> None:
    """The driver asks by the name whether a record is stored already."""
    (kept.folder / SPOOL / f"{trials[0].id}.json").write_text(make_record(trials[1]).model_dump_json())
    with pytest.raises(InputError, match=r"damaged record[\s\S]*the name of its file doesn't say"):
        kept.collect()


def test_names_of_objects_at_a_storage_lead_nowhere(trials: list[Trial], tmp_path: Path) -> None:
    shared = open_storage(str(tmp_path / "there"), "small")
    for name in ("..", "../evil.json", "evil.json", "0123456789abcdef.json.json"):
        path = tmp_path / "there" / "small" / "records" / name.replace("/", "%2f")
        path.parent.mkdir(parents=True, exist_ok=True)
        if name != "..":
            path.write_text(make_record(trials[0]).model_dump_json())
    store = SharedStore(tmp_path / "results", shared)
    assert store.collect() == {}
    assert not list(tmp_path.glob("*evil*"))


def test_markup_in_names_and_errors_is_text(
    trials: list[Trial], tmp_path: Path, lape: Callable[..., tuple[int, str]]
) -> None:
    script, image = "<script>alert(1)</script>", '"><img src=x onerror=alert(2)>'
    store = Store(tmp_path / "results" / "small")
    store.put(make_record(trials[0], arch=script, recipe=image, grid=script))
    store.put(make_record(trials[1], arch=image, recipe=script))
    environment = make_record(trials[2]).environment.model_copy(update={"processor": script, "device": image})
    store.put(make_record(trials[2], status="error", error=f"{script}{image}\x1b]0;title\x07", node=None))
    store.put(make_record(trials[3], environment=environment))
    store.collect()
    code, told = lape("report", tmp_path / "small.yaml")
    assert code == 0, told
    for path in (tmp_path / "reports").rglob("*"):
        if path.suffix in (".html", ".svg"):
            text = path.read_text(encoding="utf-8")
            assert "<script>alert" not in text, path
            assert "<img src=x" not in text, path
    assert "&lt;script&gt;alert(1)" in (tmp_path / "reports" / "small" / "index.html").read_text(encoding="utf-8")


@pytest.mark.parametrize("command", ["status", "tables", "plan", "verify"])
def test_nothing_in_a_record_steers_the_terminal(
    trials: list[Trial], tmp_path: Path, command: str, lape: Callable[..., tuple[int, str]]
) -> None:
    steering = "\x1b]0;title\x07\x1b[2J\x9b31m\r\x08"
    store = Store(tmp_path / "results" / "small")
    store.put(make_record(trials[0]))
    store.put(make_record(trials[1], status="error", error=f"boom{steering}"))
    store.collect()
    runs, text = store.folder / RUNS, (store.folder / RUNS).read_text()
    for hostile in (text, text.replace('"arch":"tiny"', f'"arch":{json.dumps(steering)}', 1)):
        runs.write_text(hostile)
        code, told = lape(command, tmp_path / "small.yaml")
        if command != "status":  # which passes over what it doesn't show
            assert ("damaged record" in told) == (hostile != text) == (code == 2)
        assert not {"\x1b", "\x07", "\x9b", "\x08", "\r"} & set(told)


# ── files that are larger than they look ──────────────────────────────────────────────────────────────
