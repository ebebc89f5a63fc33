"""Files of weights: what is read, what is refused, and the sum that names them."""

from __future__ import annotations

import hashlib
import json
import struct
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch

from suite.data.weights import read_weights, weights_checksum
from suite.errors import InputError

STATE = {"b": torch.tensor([1.5, -2.0]), "a.weight": torch.arange(6, dtype=torch.float16).view(2, 3)}


@pytest.mark.parametrize("wrapped", [STATE, {"model": STATE, "epoch": 3}, {"state_dict": STATE}])
def test_files_of_torch(tmp_path: Path, wrapped: Any) -> None:
    torch.save(wrapped, tmp_path / "weights.pth")
    found = read_weights(tmp_path / "weights.pth")
    assert found.keys() == STATE.keys()
    assert all(torch.equal(value, STATE[name]) for name, value in found.items())


def test_files_of_safetensors(tmp_path: Path) -> None:
    safetensors.torch.save_file(STATE, tmp_path / "weights.safetensors")
    found = read_weights(tmp_path / "weights.safetensors")
    assert all(torch.equal(found[name], value) for name, value in STATE.items())


class Code:
    """What a pickle must not bring to life."""


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ({"model": {"a": 1}}, "a int under the key 'a'"),
        ({**STATE, "epoch": 3}, "a int under the key 'epoch'"),
        (torch.ones(2), "a Tensor"),
        (Code(), "Weights only load failed"),
    ],
)
def test_other_contents(tmp_path: Path, content: Any, told: str) -> None:
    torch.save(content, tmp_path / "weights.pth")
    with pytest.raises(InputError, match=told):
        read_weights(tmp_path / "weights.pth")


@pytest.mark.parametrize("name", ["weights.pth", "weights.safetensors"])
@pytest.mark.parametrize("content", [b"", b"PK", b"nonsense that is no weights", None])
def test_other_files(tmp_path: Path, name: str, content: bytes | None) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match="without a teacher's weights"):
        read_weights(tmp_path / name)


def test_the_checksum_is_of_names_types_shapes_and_values() -> None:
    """Written out: the tensors' names in order, each with its facts and its little-endian values."""
    expected = hashlib.sha256()
    expected.update(b'{"dtype":"F16","name":"a.weight","shape":[2,3]}\n' + struct.pack("<6e", *range(6)))
    expected.update(b'{"dtype":"F32","name":"b","shape":[2]}\n' + struct.pack("<2f", 1.5, -2.0))
    assert weights_checksum(safetensors.torch.save(STATE)) == expected.hexdigest()


def test_the_order_and_the_metadata_of_a_file_do_not_matter() -> None:
    header = {
        "__metadata__": {"format": "pt", "epoch": "3"},
        "b": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]},
        "a.weight": {"dtype": "F16", "shape": [2, 3], "data_offsets": [8, 20]},
    }
    text = json.dumps(header).encode()
    values = struct.pack("<2f", 1.5, -2.0) + struct.pack("<6e", *range(6))
    content = struct.pack("<Q", len(text)) + text + values
    assert content != safetensors.torch.save(STATE)
    assert weights_checksum(content) == weights_checksum(safetensors.torch.save(STATE))


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
    assert weights_checksum(safetensors.torch.save({**STATE, **change})) != weights_checksum(
        safetensors.torch.save(STATE)
    )
