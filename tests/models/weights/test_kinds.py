"""What is said of files that are no weights, and that the suffix doesn't matter."""

from __future__ import annotations

import gzip
import io
import pickle
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save, save_file

from suite.errors import InputError
from suite.models.weights.reading import read_state

STATE = {"head.weight": torch.arange(6.0).reshape(2, 3), "head.bias": torch.ones(2)}
LFS = b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"0" * 64 + b"\nsize 21344\n"


def array_file() -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, np.zeros(3))
    return buffer.getvalue()


def array_archive() -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, a=np.zeros(3))
    return buffer.getvalue()


@pytest.mark.parametrize("name", ["weights.pth", "weights.safetensors", "weights"])
@pytest.mark.parametrize(
    ("content", "found", "fix"),
    [
        (LFS, "a Git LFS pointer for a file of 21,344 bytes", "git lfs pull"),
        (b"\xef\xbb\xbf \n<!DOCTYPE html><html>", "a web page", "browser"),
        (b"<html>not found</html>", "a web page", "browser"),
        (b'<?xml version="1.0"?><Error><Code>AccessDenied</Code>', "a web page", "browser"),
        (b'{"error": "not found"}', "a text", "read what it says"),
        (b"", "an empty file", "download it again"),
        (gzip.compress(b"x", mtime=0), "a gzip archive", "convert"),
        (b"\x89HDF\r\n\x1a\n" + bytes(99), "HDF5", "convert"),
        (array_file(), "NumPy", "convert"),
        (pickle.dumps(STATE["head.bias"].tolist(), protocol=4), "a pickle of protocol 4", "download it again"),
        (save(STATE)[:-5], "", "download it again"),
        (b"\xff\xfe" + "<!DOCTYPE html>".encode("utf-16-le"), "a web page", "browser"),
        (b"Entry not found\n", "begins with 'Entry not found\\n'", "download it again"),
        (b"\x80", "begins with '\\x80'", "download it again"),
        (b"\x89PNG\r\n\x1a\n" + bytes(99), "a PNG image", "convert"),
        (b"\xfd7zXZ\x00" + bytes(99), "an xz archive", "convert"),
        (b"a".ljust(257, b"\0") + b"ustar\x0000" + bytes(300), "a tar archive", "convert"),
        (array_archive(), "a zip archive of a.npy", "download it again"),
        (pickle.dumps({"a": 1}, protocol=2), "before torch 1.6", "download it again"),
    ],
)
def test_other_files_are_named(name: str, content: bytes, found: str, fix: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError) as caught:
        read_state(tmp_path / name)
    (problem,) = caught.value.problems
    assert problem.what == "this file is damaged, or no checkpoint"
    assert found in problem.found
    assert fix in problem.fix
    assert problem.where == str(tmp_path / name)
    assert problem.found.isprintable()


@pytest.mark.parametrize("name", ["weights.bin", "weights.pth", "weights"])
def test_safetensors_by_another_suffix(name: str, tmp_path: Path) -> None:
    save_file(STATE, tmp_path / name)
    found = read_state(tmp_path / name)
    assert found.keys() == STATE.keys()
    assert all(torch.equal(found[key], STATE[key]) for key in STATE)


@pytest.mark.parametrize("new", [True, False])
def test_a_file_of_torch_by_the_suffix_of_safetensors(new: bool, tmp_path: Path) -> None:
    torch.save(STATE, tmp_path / "weights.safetensors", _use_new_zipfile_serialization=new)
    assert read_state(tmp_path / "weights.safetensors").keys() == STATE.keys()


@pytest.mark.filterwarnings("ignore:.*torch.jit.*")
def test_torchscript_is_named(tmp_path: Path) -> None:
    torch.jit.script(torch.nn.Linear(2, 3)).save(str(tmp_path / "a.pt"))  # type: ignore[no-untyped-call]
    with pytest.raises(InputError, match="TorchScript"):
        read_state(tmp_path / "a.pt")


def test_another_zip_archive(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.pth", "w") as archive:
        archive.writestr("readme.txt", "no weights")
    with pytest.raises(InputError, match="damaged, or no checkpoint"):
        read_state(tmp_path / "a.pth")
