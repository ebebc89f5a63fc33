"""What importing a method file does to its process: nothing that a trial of another method would notice."""

from __future__ import annotations

import random
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from suite.errors import InputError
from suite.grid.methods import load_methods, loaded_files, unload
from tests.cli.shell import JOIN


@pytest.fixture(autouse=True)
def _forget() -> Iterator[None]:
    before = loaded_files()
    yield
    unload(file for file in loaded_files() if file not in before)


def settings() -> tuple[Any, ...]:
    """What torch makes of numbers and modules that say nothing else."""
    made = torch.zeros(1)
    return (made.dtype, made.device, torch.is_grad_enabled(), torch.are_deterministic_algorithms_enabled(),
            torch.get_float32_matmul_precision())  # fmt: skip


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("torch.set_default_dtype(torch.float64)", "default dtype torch.float64"),
        ("torch.set_default_device('meta')", "default device meta"),
        ("torch.set_grad_enabled(False)", "gradient mode False"),
        ("torch.use_deterministic_algorithms(True)", "deterministic algorithms True"),
        ("torch.set_float32_matmul_precision('medium')", "precision of float32 matrix products medium"),
    ],
)
def test_a_file_that_changes_settings_of_torch_is_refused(tmp_path: Path, line: str, found: str) -> None:
    """They would change the runs of the baseline, whose ids don't depend on the file."""
    path, before = tmp_path / "m.py", settings()
    path.write_text(f"import torch\n{line}\n{JOIN}")
    with pytest.raises(InputError, match="changes settings of torch") as told:
        load_methods([path])
    assert told.value.problems[0].found == found
    assert settings() == before
    assert not loaded_files()


def test_the_first_import_of_torch_may_be_the_files(tmp_path: Path) -> None:
    path = tmp_path / "m.py"
    path.write_text(f"import torch\ntorch.set_default_dtype(torch.float64)\n{JOIN}")
    told = subprocess.run([sys.executable, "-m", "suite", "ls", "joins", "--methods", path], capture_output=True,
                          text=True)  # fmt: skip
    assert told.returncode == 2
    assert "found:      default dtype torch.float64" in told.stderr


def test_generators_of_random_numbers_go_on_as_before(tmp_path: Path) -> None:
    path = tmp_path / "m.py"
    path.write_text(f"import random, numpy, torch\nrandom.seed(1)\nnumpy.random.seed(1)\ntorch.manual_seed(1)\n{JOIN}")

    def draws() -> list[float]:
        return [random.random(), float(np.random.rand()), float(torch.rand(()))]

    random.seed(7), np.random.seed(7), torch.manual_seed(7)
    expected = draws()
    random.seed(7), np.random.seed(7), torch.manual_seed(7)
    load_methods([path])
    assert draws() == expected


def test_what_it_draws_is_the_same_in_every_process(tmp_path: Path) -> None:
    path, drawn = tmp_path / "m.py", list[tuple[float, float, torch.Tensor]]()
    drawing = "import random, numpy, torch\nDRAWN = random.random(), numpy.random.rand(), torch.rand(())\n"
    path.write_text(drawing + JOIN)
    for seed in (1, 2):
        random.seed(seed), np.random.seed(seed), torch.manual_seed(seed)
        (file,) = load_methods([path])
        drawn.append(sys.modules[file.module].DRAWN)
        unload([file])
    assert drawn[0] == drawn[1]
    assert drawn[0][2] == torch.rand((), generator=torch.Generator())  # as in a process that imports torch only now


def test_what_it_prints_is_no_part_of_a_commands_output(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "m.py"
    path.write_text(f"print('hello')\n{JOIN}")
    load_methods([path])
    assert capsys.readouterr() == ("", "hello\n")
