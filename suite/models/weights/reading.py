"""Reading weight files without running code from them, and the checksum that identifies a file's weights."""

from __future__ import annotations

import hashlib
import re
import warnings
import zipfile
from pathlib import Path

import torch
from safetensors import SafetensorError, deserialize
from safetensors.torch import load_file
from torch import Tensor

from suite.errors import InputError, first_line
from suite.models.weights.kinds import TORCH, Kind, kind_of
from suite.models.weights.plain import STAND_INS
from suite.models.weights.unwrapping import Weights, find_weights, listed
from suite.store.canonical import canonical_json
from suite.text import note

_EXPECTED = "a .safetensors file, or one that torch.save wrote"
# Weight files aren't compressed. A file is refused if its content claims to be this many times larger than the file.
_LARGEST_RATIO = 16
_ROOM = 2**20  # bytes of content that are always accepted


def read_state(path: str | Path, weights_key: str | None = None) -> dict[str, Tensor]:
    """Read the state dict of a safetensors or torch.save file to the CPU, without wrapping keys and prefixes.

    If the file holds several state dicts, a note on standard error says which one was taken; see `find_weights`.

    Args:
        path: the file. Its format is detected from its content, not from its suffix.
        weights_key: the key of the weights in the file; by default, `find_weights` chooses.

    Raises:
        InputError: the file doesn't exist, is damaged, holds no weights, or could only be read by running its code.
    """
    weights = read_weights(path, weights_key)
    if weights.others:
        note(f"weights of {Path(path).name!r}: {weights.told}")
    return weights.state


def read_weights(path: str | Path, weights_key: str | None = None) -> Weights:
    """Like `read_state`, but also say where in the file the weights were. Values that aren't tensors are left out.

    Raises:
        InputError: as in `read_state`.
    """
    path = Path(path)
    must_be_file(path, _EXPECTED, "give the path of a file of weights")
    try:
        weights = find_weights(_read(path), weights_key)
        state = {name: value for name, value in weights.state.items() if isinstance(value, Tensor)}
        _check_tensors(state, path.stat().st_size)
    except InputError as error:
        raise error.at(str(path)) from None
    return weights._replace(state=state)


def must_be_file(path: Path, expected: str, fix: str) -> None:
    """Raise `InputError` if the path of a weight file isn't a file.

    Args:
        path: the path.
        expected: the error's text for what was expected.
        fix: the error's text for what to do.
    """
    if not path.is_file():
        found = "something else than a file" if path.exists() else "nothing"
        raise InputError(
            "there is no such checkpoint",
            expected=expected,
            found="a folder" if path.is_dir() else found,
            where=str(path),
            fix=fix,
        )


def _read(path: Path) -> object:
    kind = kind_of(path)
    if kind.readable is None:
        raise _unreadable(kind.name, kind.fix)
    if kind.readable == "safetensors":
        try:
            return load_file(path)
        except SafetensorError as error:
            raise _unreadable(first_line(error), kind.fix) from None
    _check_unpacked(path)
    try:
        with warnings.catch_warnings(), torch.serialization.safe_globals(STAND_INS), path.open("rb") as file:
            warnings.simplefilter("ignore")  # torch warns about old formats
            return torch.load(file, map_location="cpu", weights_only=True)  # a path: torch uses its suffix
    except Exception as error:  # a damaged pickle can raise anything
        if code := re.search(r"GLOBAL (\S+)", str(error)):
            raise InputError(
                "this checkpoint isn't read: to build its objects, the code that it names would run",
                expected="tensors by name, and plain values",
                found=f"an object of {code[1]}",
                fix="if you trust the file, load it where its code is, and save model.state_dict() with safetensors",
            ) from None
        raise _unreadable(_found(kind, error, path), kind.fix) from None


def _found(kind: Kind, error: Exception, path: Path) -> str:
    inner = re.search(r"WeightsUnpickler error: (.+)", str(error))
    said = (inner[1] if inner else first_line(error)).partition(". ")[0][:200]  # torch then tells how to run its code
    if "TorchScript" in str(error):
        said = "a TorchScript archive, which holds code beside weights"
    elif kind.name != TORCH.name:
        said = f"{kind.name}: {said}" if "pickle" in kind.name else kind.name
    elif names := _names_inside(path):
        said = said if any(name.endswith("/data.pkl") for name in names) else f"a zip archive of {listed(names, 3)}"
    return said if said.isprintable() else ascii(said)


def _names_inside(path: Path) -> list[str]:
    """The names in a zip archive; none if it is damaged."""
    try:
        with zipfile.ZipFile(path) as archive:
            return archive.namelist()
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError, RuntimeError):
        return []


def _check_unpacked(path: Path) -> None:
    """Raise `InputError` if a torch.save file, which is a zip archive, unpacks to much more than its size."""
    try:
        with zipfile.ZipFile(path) as archive:
            unpacked = sum(member.file_size for member in archive.infolist())
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError, RuntimeError):
        return  # not a zip archive, or a damaged one: torch's reader reports it
    _check_size(unpacked, path.stat().st_size)


def _check_tensors(state: dict[str, Tensor], size: int) -> None:
    """Raise `InputError` if the tensors are larger than the file can hold.

    A file can declare shapes without values, or many large views of one value.
    """
    for name, tensor in state.items():
        if tensor.is_meta or tensor.layout != torch.strided or tensor.is_quantized:
            raise _unreadable(f"{name!r} is no plain tensor with values", "save model.state_dict() with safetensors")
    _check_size(sum(tensor.numel() * tensor.element_size() for tensor in state.values()), size)


def _check_size(said: int, size: int) -> None:
    if said > _LARGEST_RATIO * size + _ROOM:
        raise _unreadable(f"a file of {size:,} bytes that says it holds {said:,}", "don't use it")


def _unreadable(found: str, fix: str) -> InputError:
    return InputError("this file is damaged, or no checkpoint", expected=_EXPECTED, found=found, fix=fix)


def weights_checksum(content: bytes) -> str:
    """SHA-256 over the names, dtypes, shapes and little-endian values of a safetensors file, sorted by name.

    It doesn't depend on the file's tensor order or metadata, so equal weights have equal checksums.

    Raises:
        SafetensorError: the content isn't a safetensors file.
    """
    digest = hashlib.sha256()
    for name, tensor in sorted(deserialize(content), key=lambda item: item[0]):
        facts = {"name": name, "dtype": tensor["dtype"], "shape": list(tensor["shape"])}
        digest.update(canonical_json(facts).encode() + b"\n")
        digest.update(tensor["data"])
    return digest.hexdigest()
