"""Unpacking archives: whole ones, and those that can't be trusted."""

from __future__ import annotations

import gzip
import io
import tarfile
import tracemalloc
import zipfile
from pathlib import Path

import pytest

from suite.data.archives import is_archive, unpack
from suite.data.preparation import prepare
from suite.errors import InputError, Problem

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


def refused(archive: Path) -> Problem:
    """What is said of an archive. Nothing but a folder or whole files of its beginning may have been written."""
    with pytest.raises(InputError) as caught:
        unpack(archive, archive.parent / "out")
    (problem,) = caught.value.problems
    assert problem.expected
    assert problem.fix
    return problem


def zeros(path: Path, entries: int, size: int) -> Path:
    """A compressed archive of entries of zeros, which takes a thousandth of what it unpacks to."""
    content = io.BytesIO(bytes(size))
    if path.suffix == ".zip":
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
            for number in range(entries):
                archive.writestr(f"train/a/{number}.png", content.getvalue())
    else:
        with tarfile.open(path, "w:gz", compresslevel=1) as archive:
            for number in range(entries):
                member = tarfile.TarInfo(f"train/a/{number}.png")
                member.size = size
                content.seek(0)
                archive.addfile(member, content)
    return path


@pytest.mark.parametrize("name", ["a.zip", "a.tgz"])
def test_one_entry_that_is_too_large(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("suite.data.archives.MOST_BYTES", 2**20)
    problem = refused(zeros(tmp_path / name, 1, 2**21))
    assert problem.what == "an archive unpacks to more than pictures need"
    assert "2 MiB in 'train/a/0.png'" in problem.found
    assert not list(tmp_path.glob("out/**/*.png"))


@pytest.mark.parametrize("name", ["a.zip", "a.tgz"])
def test_many_entries_that_are_too_large_together(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("suite.data.archives.MOST_UNPACKED", 2**22)
    problem = refused(zeros(tmp_path / name, 8, 2**20))
    assert problem.found == "1 MiB in 'train/a/4.png', 5 MiB up to there"
    written = sum(path.stat().st_size for path in tmp_path.glob("out/**/*.png"))
    assert written <= (0 if name == "a.zip" else 2**22)


def test_a_sparse_entry_counts_with_its_holes(tmp_path: Path) -> None:
    header = tarfile.TarInfo("train/a/1.png")
    header.type, header.size = tarfile.GNUTYPE_SPARSE, 512
    block = bytearray(header.tobuf(tarfile.GNU_FORMAT))
    block[386:410] = b"00000000000\0" + b"00000001000\0"  # one piece at 0, of 512 bytes
    block[483:495] = b"77777777777\0"  # of 8 GiB
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\0 " % sum(block)
    (tmp_path / "a.tar").write_bytes(bytes(block) + bytes(512) + bytes(1024))
    assert "8,192 MiB" in refused(tmp_path / "a.tar").found


@pytest.mark.parametrize("kind", [tarfile.XHDTYPE, tarfile.GNUTYPE_LONGNAME])
def test_a_header_of_a_gibibyte_is_not_read(kind: bytes, tmp_path: Path) -> None:
    header = tarfile.TarInfo("x")
    header.type, header.size = kind, 2**30
    with gzip.open(tmp_path / "a.tgz", "wb", compresslevel=1) as file:
        file.write(header.tobuf(tarfile.GNU_FORMAT))
        for _ in range(64):
            file.write(bytes(2**20))
    tracemalloc.start()
    is_tar = is_archive(tmp_path / "a.tgz")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert not is_tar
    assert peak < 2**24


@pytest.mark.timeout(20)
def test_an_entry_of_negative_size_ends(tmp_path: Path) -> None:
    parts = []
    for name in ("a.png", "b.png"):
        block = bytearray(tarfile.TarInfo(name).tobuf())
        if name == "b.png":
            block[124:136] = (-512 % 256**12).to_bytes(12, "big")  # in base 256
            block[148:156] = b" " * 8
            block[148:156] = b"%06o\0 " % sum(block)
        parts.append(bytes(block))
    (tmp_path / "a.tar").write_bytes(b"".join(parts) + bytes(1024))
    assert "negative size" in refused(tmp_path / "a.tar").found


@pytest.mark.parametrize("name", ["train/a\0b.png", "train/\x1b[2J.png/../../x", "train/" + "n" * 300])
def test_names_that_no_file_can_have(name: str, tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "a.tar", "w") as archive:
        member = tarfile.TarInfo("short")
        member.pax_headers = {"path": name}
        archive.addfile(member)
    problem = refused(tmp_path / "a.tar")
    assert problem.what.startswith("an archive that can't be trusted")
    assert problem.found.isprintable()


def test_a_file_that_is_a_folder_too(tmp_path: Path) -> None:
    assert "'a/b.png'" in refused(write_archive(tmp_path / "a.tar", {"a": b"x", "a/b.png": b"y"})).found


def test_a_terminal_gets_no_control_characters_of_an_archives_name(tmp_path: Path) -> None:
    archive = write_archive(tmp_path / "a\x1b[2J.tar", {"../x": b"x"})
    assert str(refused(archive)).replace("\n", "").isprintable()


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (None, "an archive that is damaged or cut off"),
        (b"7z\xbc\xaf'\x1c" + bytes(99), "a 7z archive"),
        (b"<!DOCTYPE html><html>", "a web page"),
        (b"some words", "another kind of file"),
        (b"", "an empty file"),
    ],
)
def test_what_is_no_archive_is_named(content, found, tmp_path):
    path = tmp_path / "a.zip"
    path.write_bytes(write_archive(path, FILES).read_bytes()[:200] if content is None else content)
    with pytest.raises(InputError) as caught:
        prepare("mine", root=tmp_path / "cache", source=path)
    (problem,) = caught.value.problems
    assert problem.what == "no images to read"
    assert problem.found == found
