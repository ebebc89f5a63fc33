"""Unpacking archives: whole ones, and those that can't be trusted."""

from __future__ import annotations

import io
import tarfile
import zipfile
from pathlib import Path

import pytest

from suite.data.archives import is_archive, unpack
from suite.errors import InputError

FILES = {"top/train/a/1.txt": b"one", "top/test/b/2.txt": b"two" * 1000}


def write_archive(path: Path, files: dict[str, bytes]) -> Path:
    if path.suffix == ".zip":
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, content in files.items():
                archive.writestr(name, content)
    else:
        with tarfile.open(path, "w:" + {".tar": "", ".tgz": "gz", ".xz": "xz", ".bz2": "bz2"}[path.suffix]) as archive:
            for name, content in files.items():
                member = tarfile.TarInfo(name)
                member.size = len(content)
                archive.addfile(member, io.BytesIO(content))
    return path


@pytest.mark.parametrize("name", ["a.zip", "a.tar", "a.tgz", "a.tar.xz", "a.tar.bz2"])
def test_all_files_come_out(name, tmp_path):
    archive = write_archive(tmp_path / name, FILES)
    assert is_archive(archive)
    unpack(archive, tmp_path / "out")
    out = {p.relative_to(tmp_path / "out").as_posix(): p.read_bytes() for p in tmp_path.rglob("out/**/*.txt")}
    assert out == FILES


@pytest.mark.parametrize("suffix", [".zip", ".tar"])
@pytest.mark.parametrize(
    "entry", ["../escaped.txt", "a/../../escaped.txt", "/escaped.txt", "C:/escaped.txt", "..\\escaped.txt"]
)
def test_an_entry_that_escapes_is_refused(suffix, entry, tmp_path):
    archive = write_archive(tmp_path / f"evil{suffix}", {entry: b"gotcha"})
    (tmp_path / "deep").mkdir()
    with pytest.raises(InputError) as caught:
        unpack(archive, tmp_path / "deep" / "out")
    problem = caught.value.problems[0]
    assert entry in problem.found or repr(entry) in problem.found
    assert problem.where == str(archive)
    assert problem.expected
    assert problem.fix
    assert not list(tmp_path.rglob("escaped.txt"))


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE])
def test_links_and_devices_are_refused(kind, tmp_path):
    with tarfile.open(tmp_path / "links.tar", "w") as archive:
        member = tarfile.TarInfo("train/link")
        member.type, member.linkname = kind, "/etc"
        archive.addfile(member)
    with pytest.raises(InputError, match="a link or a device: 'train/link'"):
        unpack(tmp_path / "links.tar", tmp_path / "out")


@pytest.mark.parametrize("name", ["a.zip", "a.tgz", "a.tar.xz"])
def test_a_damaged_archive_is_named(name, tmp_path):
    noise = bytes(range(256)) * 300
    archive = write_archive(tmp_path / name, {"a.txt": noise, "b.txt": noise[::-1]})
    content = bytearray(archive.read_bytes())
    content[40:60] = bytes(20)
    archive.write_bytes(content)
    with pytest.raises(InputError) as caught:
        unpack(archive, tmp_path / "out")
    assert caught.value.problems[0].where == str(archive)


def test_another_file_is_no_archive(tmp_path):
    (tmp_path / "notes.txt").write_text("no archive " * 100)
    assert not is_archive(tmp_path / "notes.txt")
