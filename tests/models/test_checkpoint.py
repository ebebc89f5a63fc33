"""Files of weights: what is read, and that nothing in them runs."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from suite.errors import InputError
from suite.models import read_state

STATE = {"head.weight": torch.arange(6.0).reshape(2, 3), "head.bias": torch.ones(2)}


class Trap:
    """Unpickled, it makes a folder."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return (os.mkdir, (str(self.path),))


def same(found: dict[str, torch.Tensor]) -> bool:
    return found.keys() == STATE.keys() and all(torch.equal(found[name], STATE[name]) for name in STATE)


def test_safetensors(tmp_path: Path) -> None:
    save_file(STATE, tmp_path / "weights.safetensors")
    assert same(read_state(tmp_path / "weights.safetensors"))


@pytest.mark.parametrize(
    "wrapped",
    [
        STATE,
        {"model": STATE, "epoch": 3, "args": argparse.Namespace(lr=1e-3)},
        {"state_dict": {f"module.{name}": tensor for name, tensor in STATE.items()}},
        {"model": {"state_dict": STATE}},
    ],
)
def test_torch_files(tmp_path: Path, wrapped: dict[str, Any]) -> None:
    torch.save(wrapped, tmp_path / "weights.pth")
    assert same(read_state(str(tmp_path / "weights.pth")))


def test_code_is_refused_and_not_run(tmp_path: Path) -> None:
    torch.save({"model": STATE, "trap": Trap(tmp_path / "ran")}, tmp_path / "weights.pth")
    with pytest.raises(InputError, match=r"(?s)code that it names would run.*an object of posix\.mkdir.*weights.pth"):
        read_state(tmp_path / "weights.pth")
    assert not (tmp_path / "ran").exists()


def test_a_whole_model_is_refused(tmp_path: Path) -> None:
    torch.save(torch.nn.Linear(2, 3), tmp_path / "weights.pth")
    with pytest.raises(InputError, match=r"(?s)object of torch\.nn\.modules\.linear\.Linear.*save model\.state_dict"):
        read_state(tmp_path / "weights.pth")


@pytest.mark.parametrize("name", ["weights.pth", "weights.safetensors"])
@pytest.mark.parametrize("damage", ["cut", "text", "empty"])
def test_damaged_files(tmp_path: Path, name: str, damage: str) -> None:
    path = tmp_path / name
    if name.endswith("pth"):
        torch.save(STATE, path)
    else:
        save_file(STATE, path)
    content = path.read_bytes()
    path.write_bytes({"cut": content[: len(content) // 2], "text": b"<html>not found</html>", "empty": b""}[damage])
    with pytest.raises(InputError, match=rf"(?s)damaged, or no checkpoint.*where: *\S*{name}"):
        read_state(path)


@pytest.mark.parametrize("content", [{"epoch": 3}, [1, 2], {"model": {"lr": 0.1}}, {}])
def test_files_without_weights(tmp_path: Path, content: Any) -> None:
    torch.save(content, tmp_path / "weights.pth")
    with pytest.raises(InputError, match="no weights in this checkpoint"):
        read_state(tmp_path / "weights.pth")


@pytest.mark.parametrize("name", ["nothing.pth", "."])
def test_no_such_file(tmp_path: Path, name: str) -> None:
    with pytest.raises(InputError, match="no such checkpoint"):
        read_state(tmp_path / name)
