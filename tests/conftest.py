"""What tests share: reference data outside the project, small grids, records without training."""

from __future__ import annotations

import fcntl
import gc
import os
import re
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

from tests.cli.shell import Shell
from tests.data.drawings import CLASSES, drawing
from tests.distribution import ByFile, longest_first
from tests.processes import Process

if TYPE_CHECKING:
    from xdist.remote import Producer

    from suite.train.machine import Machine

# No deadline: how fast an example runs depends on what else the machine does. `nox -s tests_all` takes `thorough`.
settings.register_profile("suite", deadline=None, max_examples=40)
settings.register_profile("thorough", deadline=None)
settings.load_profile("suite")

# Ray gives its workers a low priority. Beside other tests they would then wait for minutes.
os.environ.setdefault("RAY_worker_niceness", "0")
os.environ.pop("COLUMNS", None)  # tables would have another width

REPOSITORY = Path(__file__).resolve().parents[1]

GRID = """
name: small
seeds: [0, 1]
recipe: {version: 1, epochs: 2, batch_size: 64, lr: 1e-3, train_images: 128}
architectures:
  tiny: {family: vit_lite, patch_size: 4, embed_dim: 8, depth: 2, num_heads: 2, mlp_ratio: 1}
axes:
  arch: [tiny]
  pe: [learnable]
  join: [default, lape]
  dataset: [digits]
"""


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> ByFile:
    """The scheduler of `pytest -n`."""
    return ByFile(config, log)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """In a process of `pytest -n`: the order in which tests are given out.

    Raises:
        UsageError: a test's name holds an address, so that two processes would collect different tests.
    """
    if named := [item.nodeid for item in items if re.search(r"\bat 0x[0-9a-f]{6,}", item.nodeid, re.IGNORECASE)]:
        raise pytest.UsageError(f"a test's name holds an address in memory; give its parameter an id: {named[0]}")
    if hasattr(config, "workerinput"):
        longest_first(items)


_frozen_modules = 0  # how many modules were imported at the last `_freeze`


def _freeze() -> None:
    """Exempt what is imported from later garbage collections, which took most of a small training run's time."""
    global _frozen_modules
    _frozen_modules = len(sys.modules)
    gc.collect()
    gc.freeze()


def pytest_collection_finish() -> None:
    """Freeze what the test modules import."""
    _freeze()


def pytest_runtest_setup() -> None:
    """Freeze what tests have imported meanwhile, such as torch's compiler."""
    if len(sys.modules) > _frozen_modules + 100:
        _freeze()


def pytest_unconfigure() -> None:
    """Free it at the end. Some libraries complain otherwise."""
    gc.unfreeze()


@pytest.fixture
def shared() -> Path:
    """Reference data that is not part of the project: vectors of the published code, whole data sets."""
    folder = Path(os.environ.get("LAPE_SHARED", REPOSITORY.parent / "shared"))
    if not folder.is_dir():
        pytest.skip(f"no reference data in {folder}; set LAPE_SHARED to their folder")
    return folder


@pytest.fixture
def write_grid(tmp_path: Path) -> Callable[..., Path]:
    """Write a grid file: the small one above, with parts of its text replaced."""

    def write(*replacements: tuple[str, str], name: str = "small.yaml", text: str = GRID) -> Path:
        for old, new in replacements:
            assert old in text, f"{old!r} is not in the grid"
            text = text.replace(old, new)
        path = tmp_path / name
        path.write_text(text)
        return path

    return write


@pytest.fixture(scope="session")
def data_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the digits prepared."""
    from suite.data.preparation import prepare

    root = tmp_path_factory.mktemp("data")
    if "PYTEST_XDIST_WORKER" not in os.environ:
        prepare("digits", root=root)
        return root
    # Processes of `pytest -n`: one reads the digits, since each would import scikit-learn for it. The others copy.
    prepared = root.parent.parent / "digits"
    with prepared.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # until the file is closed
        if not prepared.exists():
            prepare("digits", root=root)
            shutil.copytree(root, prepared)
            return root
    shutil.copytree(prepared, root, dirs_exist_ok=True)
    return root


@pytest.fixture
def machine(data_folder: Path) -> Machine:
    """A CPU, with the digits at hand."""
    from suite.train.machine import Machine

    return Machine(data_folder, "cpu")


@pytest.fixture
def write_tree(tmp_path: Path) -> Callable[..., Path]:
    """Write an image folder with `train` and `test` images per class and return it."""

    def write(
        name: str = "pictures",
        *,
        train: int = 4,
        test: int = 2,
        classes: tuple[str, ...] = CLASSES,
        test_name: str = "test",
        size: tuple[int, int] = (12, 12),
        mode: str = "RGB",
        suffix: str = ".png",
    ) -> Path:
        folder = tmp_path / name
        for split, start, count in (("train", 0, train), (test_name, 1000, test)):
            for kind in classes:
                (folder / split / kind).mkdir(parents=True)
                for index in range(start, start + count):
                    drawing(kind, index, size, mode).save(folder / split / kind / f"{index}{suffix}")
        return folder

    return write


@pytest.fixture
def process(tmp_path: Path, data_folder: Path) -> Process:
    """Starts `lape` processes in a folder of their own, with the digits at hand."""
    return Process(tmp_path, data_folder)


@pytest.fixture
def lape(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path, data_folder: Path
) -> Shell:
    """The command line, run in the test's own process: in a folder of its own, with the digits at hand."""
    monkeypatch.setenv("LAPE_DATA", str(data_folder))
    monkeypatch.chdir(tmp_path)
    return Shell(monkeypatch, capsys)
