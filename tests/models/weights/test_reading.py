"""Files of weights: what is read, that nothing in them runs, and the sum that names them."""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import pickle
import struct
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch
from safetensors.torch import save_file

from suite.errors import InputError
from suite.models.weights.reading import read_state, weights_checksum

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


@pytest.mark.parametrize("protocol", [0, 2, 4])
def test_code_in_a_plain_pickle_is_not_run(tmp_path: Path, protocol: int) -> None:
    content = pickle.dumps({"model": Trap(tmp_path / "ran")}, protocol=protocol)
    (tmp_path / "weights.pth").write_bytes(content)
    with pytest.raises(InputError) as caught:
        read_state(tmp_path / "weights.pth")
    assert "weights_only" not in str(caught.value)  # torch's advice to run it
    assert not (tmp_path / "ran").exists()
    pickle.loads(content)
    assert (tmp_path / "ran").exists()  # so it would have


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


OTHER = {"b": torch.tensor([1.5, -2.0]), "a.weight": torch.arange(6, dtype=torch.float16).view(2, 3)}


def test_the_checksum_is_of_names_types_shapes_and_values() -> None:
    """Written out: the tensors' names in order, each with its facts and its little-endian values."""
    expected = hashlib.sha256()
    expected.update(b'{"dtype":"F16","name":"a.weight","shape":[2,3]}\n' + struct.pack("<6e", *range(6)))
    expected.update(b'{"dtype":"F32","name":"b","shape":[2]}\n' + struct.pack("<2f", 1.5, -2.0))
    assert weights_checksum(safetensors.torch.save(OTHER)) == expected.hexdigest()


def test_the_order_and_the_metadata_of_a_file_do_not_matter() -> None:
    header = {
        "__metadata__": {"format": "pt", "epoch": "3"},
        "b": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]},
        "a.weight": {"dtype": "F16", "shape": [2, 3], "data_offsets": [8, 20]},
    }
    text = json.dumps(header).encode()
    values = struct.pack("<2f", 1.5, -2.0) + struct.pack("<6e", *range(6))
    content = struct.pack("<Q", len(text)) + text + values
    assert content != safetensors.torch.save(OTHER)
    assert weights_checksum(content) == weights_checksum(safetensors.torch.save(OTHER))


@pytest.mark.parametrize(
    "change",
    [
        {"b": torch.tensor([1.5, -2.5])},
        {"b": torch.tensor([[1.5, -2.0]])},
        {"b": torch.tensor([1.5, -2.0], dtype=torch.float64)},
        {"c": torch.tensor([1.5, -2.0])},
    ],
)
def test_any_other_weights_have_another_checksum(change: dict[str, torch.Tensor]) -> None:
    assert weights_checksum(safetensors.torch.save({**OTHER, **change})) != weights_checksum(
        safetensors.torch.save(OTHER)
    )
