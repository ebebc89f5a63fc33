"""The tutorials: their commands are run as they stand there, and end as the page says.

The training runs are slow tests. The others find records in place, so that `lape run` has nothing left to train.
`tests/cli/test_new.py` runs the commands of the page on methods of your own.
"""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from suite.grid.grid import load_grid
from suite.report.figures import available
from suite.store.folder import Store
from tests.cli.shell import Shell
from tests.conftest import REPOSITORY
from tests.documentation.commands import DOCS, blocks, lape_commands
from tests.records import make_record

GAIN, READING, CLUSTER = (DOCS / "tutorials" / f"{name}.md" for name in ("published_gain", "reading", "cluster"))
HEAVY = ("torch", "torchvision", "timm", "fvcore", "ray")


def store_records(grid: str | Path, folder: Path, seeds: int | None = None) -> None:
    """Records of all trials of a grid, without training: the treatment gains about two points."""
    loaded = load_grid(grid)
    store = Store(folder / loaded.name)
    for trial in loaded.expand().trials:
        if seeds is None or trial.seed_index in loaded.file.seeds[:seeds]:
            gain = 2.0 + 0.1 * (trial.seed_index % 3)
            store.put(make_record(trial, 90.0 + gain * (trial.join == "lape")))
    store.collect()


def run_all(lape: Shell, page: Path, *more: str) -> dict[str, str]:
    """What each command of a page prints. `more` is added to those that train."""
    told = {}
    for words in lape_commands(page):
        told[" ".join(words)] = lape(*words, *(more if words[0] == "run" else ()))
        assert lape.code == 0, f"{words}\n{lape.out}{lape.err}"
    return told


def write_the_grid(folder: Path) -> Path:
    (text,) = blocks(GAIN, "yaml")
    path = folder / "grids" / "table2_digits.yaml"
    path.parent.mkdir()
    path.write_text(text)
    return path


@pytest.fixture
def no_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Reports without figures, which take longer to draw than all else."""
    monkeypatch.setattr(available, "missing_packages", lambda: ["matplotlib"])


@pytest.mark.usefixtures("no_figures")
def test_checking_a_published_gain(lape: Shell, tmp_path: Path) -> None:
    store_records(write_the_grid(tmp_path), tmp_path / "results")
    told = run_all(lape, GAIN)
    page = " ".join(GAIN.read_text(encoding="utf-8").split())
    (trials,) = re.findall(r"trials +(\d+):", told["plan table2"])
    (power,) = re.findall(r"a gain of ([\d.]+) standard deviations", told["plan table2"])
    assert f"takes {trials} training runs" in page
    assert f"a gain of {power} standard deviations" in page
    shown = re.findall(r"^ ?(\w[\w ]+): analogue of .*$", told["verify table2_digits --long"], re.MULTILINE)
    assert shown == ["gain here", *["not tested"] * 5]
    assert (tmp_path / "reports" / "table2_digits" / "index.html").is_file()
    assert (tmp_path / "reports" / "table2_digits" / "tables" / "lape_table_2.tex").is_file()


@pytest.mark.slow
def test_checking_a_published_gain_by_training(lape: Shell, tmp_path: Path) -> None:
    write_the_grid(tmp_path)
    told = run_all(lape, GAIN, "--executor", "serial")["verify table2_digits --long"]
    (shown,) = blocks(GAIN, "text")
    masked = [re.sub(r"[\d.+−-]+", "#", " ".join(text.split())) for text in (shown, told.partition("not tested:")[0])]
    words = r"(open|gain here|no gain here|opposite here)"  # on another processor it may be another one
    assert masked[0].partition("; ")[0] == re.sub(words, "open", masked[1]).partition("; ")[0]


@pytest.mark.usefixtures("no_figures")
def test_reading_results_without_torch(
    lape: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("cifar_subset", "table2_budget"):
        shutil.copytree(REPOSITORY / "results" / name, tmp_path / "results" / name)
    for name in HEAVY:
        monkeypatch.setitem(sys.modules, name, None)  # as if it weren't installed
    told = run_all(lape, READING)
    assert told["verify cifar_subset"].count("gain here") == 3
    assert told["verify cifar_subset --json"].startswith("[")
    assert (tmp_path / "reports" / "cifar_subset" / "index.html").is_file()
    assert len((tmp_path / "everything" / "runs.jsonl").read_text(encoding="utf-8").splitlines()) == 44
    frame, pairs = blocks(READING, "python")
    exec(compile(frame, str(READING), "exec"), {})
    assert re.search(r"cct_2_3x2 +default +43\.8", capsys.readouterr().out)
    exec(compile(pairs, str(READING), "exec"), {})
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 10
    gains = [float(line.split()[-1]) for line in lines if line.startswith("vit_lite")]
    assert sum(gains) / 5 == pytest.approx(3.03, abs=0.01)


@pytest.mark.usefixtures("no_figures")
def test_the_commands_for_a_cluster(lape: Shell, tmp_path: Path) -> None:
    """With all records in place: no cluster is asked."""
    store_records(REPOSITORY / "grids" / "quickstart.yaml", tmp_path / "results", seeds=1)
    told = run_all(lape, CLUSTER)
    assert "8: 8 done" in told["plan quickstart --seeds 1 --nodes 2xCPU:1"]
    assert "not tested" in told["verify quickstart --seeds 1 --results joined"]


@pytest.fixture
def nodes(tmp_path: Path) -> Iterator[str]:
    """The page's two nodes on this machine, on a free port; their address."""
    binaries = Path(sys.executable).parent
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{probe.getsockname()[1]}"
    text = CLUSTER.read_text(encoding="utf-8")
    (exports,) = re.findall(r"^export (.*)$", text, re.MULTILINE)
    environment = {
        **os.environ,
        **dict(one.split("=") for one in exports.split()),
        "PATH": f"{binaries}:{os.environ['PATH']}",
        "RAY_AUTH_TOKEN": "a-token-of-at-least-thirty-two-characters",
    }
    environment.pop("RAY_ADDRESS", None)
    started = []
    for line in re.findall(r"^ray start .*$", text, re.MULTILINE):
        words = line.replace("6379", address.rpartition(":")[2]).split()
        words += ["--object-store-memory", str(80 * 2**20), "--node-ip-address", "127.0.0.1"]
        words += ["--temp-dir", f"/tmp/ray-docs-{os.getpid()}"] if "--head" in words else []
        started.append(subprocess.Popen(words, env=environment, cwd=tmp_path, stdout=subprocess.DEVNULL))
        time.sleep(10)
    yield address
    for process in reversed(started):
        process.terminate()
        process.wait(60)
    shutil.rmtree(f"/tmp/ray-docs-{os.getpid()}", ignore_errors=True)


@pytest.mark.ray
@pytest.mark.slow
def test_a_grid_on_two_nodes(nodes: str, tmp_path: Path, data_folder: Path) -> None:
    """The page's commands in processes of their own, with few epochs for each trial."""
    environment = {**os.environ, "LAPE_DATA": str(data_folder), "RAY_AUTH_MODE": "token"}
    environment["RAY_AUTH_TOKEN"] = "a-token-of-at-least-thirty-two-characters"
    environment.pop("RAY_ADDRESS", None)
    short = ["--set", "recipe.epochs=3"]  # one more than are for warmup
    for words in lape_commands(CLUSTER):
        words = [word.replace("127.0.0.1:6379", nodes) for word in words]
        words += short if words[0] in ("plan", "run", "status", "verify") else []
        command = [sys.executable, "-m", "suite", *words]
        done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=500)
        assert done.returncode == 0, done.stdout + done.stderr
    assert len((tmp_path / "joined" / "quickstart" / "runs.jsonl").read_text().splitlines()) == 8
