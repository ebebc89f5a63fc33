"""Files of a model's weights."""

from __future__ import annotations

import hashlib
import pickle
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError, deserialize
from safetensors.torch import load_file
from torch import Tensor

from suite.canonical import canonical_json
from suite.errors import InputError, first_line

Weights = Mapping[str, Tensor]

_UNREADABLE = (OSError, EOFError, RuntimeError, ValueError, KeyError, pickle.UnpicklingError, SafetensorError)


def read_weights(source: Path) -> Weights:
    """The state dict of a file of safetensors or of `torch.save`, there also as the value of "model" or "state_dict".

    Nothing in the file is executed.

    Raises:
        InputError: it can't be read, or is something else.
    """
    try:
        if source.suffix == ".safetensors":
            return load_file(source)
        content = torch.load(source, map_location="cpu", weights_only=True)
    except _UNREADABLE as error:
        raise _no_weights(source, first_line(error)) from error
    for wrapper in ("model", "state_dict"):
        if isinstance(content, Mapping) and isinstance(content.get(wrapper), Mapping):
            content = content[wrapper]
    if not isinstance(content, Mapping):
        raise _no_weights(source, f"a {type(content).__name__}")
    for key, value in content.items():
        if not isinstance(value, Tensor):
            raise _no_weights(source, f"a {type(value).__name__} under the key {key!r}")
    return content


def weights_checksum(content: bytes) -> str:
    """SHA-256 over the names, types, shapes and little-endian values of a safetensors file, in order of the names.

    The file's own order and its metadata are not in it: the same weights have the same sum, whatever wrote them.

    Raises:
        SafetensorError: it is no such file.
    """
    digest = hashlib.sha256()
    for name, tensor in sorted(deserialize(content), key=lambda item: item[0]):
        facts = {"name": name, "dtype": tensor["dtype"], "shape": list(tensor["shape"])}
        digest.update(canonical_json(facts).encode() + b"\n")
        digest.update(tensor["data"])
    return digest.hexdigest()


def _no_weights(source: Path, found: str) -> InputError:
    return InputError(
        "a file without a teacher's weights",
        expected="a state dict: a file of safetensors (*.safetensors), or one of torch.save that needs no code to read",
        found=found,
        where=str(source),
        fix="check the path after --from; of another file, load the weights and save its state dict",
    )
