"""Files of weights: read without running anything that they hold, and named by a sum of what they say."""

from __future__ import annotations

import argparse
import hashlib
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, deserialize
from safetensors.torch import load_file
from torch import Tensor

from suite.errors import InputError, first_line
from suite.store.canonical import canonical_json

WRAPPERS = ("model", "state_dict")
PREFIXES = ("module.", "_orig_mod.")  # of DataParallel, and of torch.compile


def read_state(path: str | Path) -> dict[str, Tensor]:
    """The state dict in a .safetensors file or in a file of torch.save, on the CPU, unwrapped.

    Raises:
        InputError: there is no such file, it is damaged or holds no weights, or reading it would run its code.
    """
    path = Path(path)
    must_be_file(path, "a .safetensors file, or one that torch.save wrote", "give the path of a file of weights")
    try:
        return unwrap(_read(path))
    except InputError as error:
        raise error.at(str(path)) from None


def must_be_file(path: Path, expected: str, fix: str) -> None:
    """Raise `InputError` if there is no file of weights at the path."""
    if not path.is_file():
        raise InputError(
            "there is no such checkpoint",
            expected=expected,
            found="a folder" if path.is_dir() else "nothing",
            where=str(path),
            fix=fix,
        )


def _read(path: Path) -> object:
    if path.suffix == ".safetensors":
        try:
            return load_file(path)
        except SafetensorError as error:
            raise _unreadable(error) from None
    try:
        # Training scripts keep their arguments beside the weights: a namespace, which is data.
        with torch.serialization.safe_globals([argparse.Namespace]):
            return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # a damaged pickle can raise anything
        if code := re.search(r"GLOBAL (\S+)", str(error)):
            raise InputError(
                "this checkpoint isn't read: to build its objects, the code that it names would run",
                expected="tensors by name, and plain values",
                found=f"an object of {code[1]}",
                fix="if you trust the file, load it where its code is, and save model.state_dict() with safetensors",
            ) from None
        raise _unreadable(error) from None


def _unreadable(error: Exception) -> InputError:
    return InputError(
        "this file is damaged, or no checkpoint",
        expected="a .safetensors file, or one that torch.save wrote",
        found=first_line(error).partition(". ")[0][:200],  # torch goes on with how to run what is in it
        fix="compare its size and checksum with the published ones, and download it again",
    )


def unwrap(checkpoint: object) -> dict[str, Any]:
    """A checkpoint's state dict: out of {"model": …} or {"state_dict": …}, without "module." before each name.

    Raises:
        InputError: it isn't one: there are no tensors by name.
    """
    state, inside = checkpoint, ""
    while isinstance(state, Mapping) and (key := next((key for key in WRAPPERS if key in state), None)):
        if isinstance(state[key], Tensor):
            break
        state, inside = state[key], f" as its {key!r}"
    if not isinstance(state, Mapping) or not any(isinstance(value, Tensor) for value in state.values()):
        held = ", ".join(map(str, state)) if isinstance(state, Mapping) else ""
        raise InputError(
            "there are no weights in this checkpoint",
            expected=f"a state dict, tensors by name, perhaps as its {' or '.join(map(repr, WRAPPERS))}",
            found=f"a {type(state).__name__}{inside}" + (f" of: {held[:200]}" if held else ""),
            fix="pass the model's state_dict()",
        )
    names = {str(name): value for name, value in state.items()}
    while prefix := next((prefix for prefix in PREFIXES if all(name.startswith(prefix) for name in names)), None):
        names = {name.removeprefix(prefix): value for name, value in names.items()}
    return names


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
