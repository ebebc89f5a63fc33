"""What `lape data prepare` says of a folder: notes, progress, and names in every locale."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from suite import text
from suite.data import parallel
from suite.data.cache import load_index, load_meta, verify
from suite.data.decode import decode_oriented
from suite.data.images import load_images
from suite.data.preparation import prepare
from suite.errors import InputError
from tests.data.drawings import drawing

WriteTree = Callable[..., Path]


def command(*words: str | Path, **environment: str) -> subprocess.CompletedProcess[bytes]:
    """`python -m suite` with these words, in a process of its own."""
    return subprocess.run(
        [sys.executable, "-m", "suite", *words],
        env={**os.environ, **environment},
        capture_output=True,
        check=False,
        timeout=120,
    )


def test_files_that_are_not_read_are_told_in_one_line(
    write_tree: WriteTree, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = write_tree()
    prepare("clean", root=tmp_path / "cache", source=folder)
    assert capsys.readouterr().err == ""
    for number in range(7):
        (folder / "train" / "disc" / f"{number}\x1b.heic").write_bytes(b"?")
    prepare("drawings", root=tmp_path / "cache", source=folder)
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(r"note: 7 files of the folder are not read, by their names: 0\x1b.heic, 1\x1b.heic, ")
    assert line.isprintable()


@pytest.mark.parametrize("storage", ["arrays", "folder"])
def test_orientations_are_told_once(
    storage: str, write_tree: WriteTree, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = write_tree(suffix=".jpg")
    before = prepare("before", root=tmp_path / "cache", source=folder, storage="arrays")
    assert capsys.readouterr().err == ""
    for name in ("0.jpg", "1.jpg"):
        path, exif = folder / "train" / "disc" / name, Image.Exif()
        exif[0x0112] = 6
        content = path.read_bytes()
        drawing("disc", int(path.stem)).save(path, exif=exif)
        assert path.read_bytes() != content
    after = prepare("after", root=tmp_path / "cache", source=folder, storage=storage)
    (line,) = capsys.readouterr().err.splitlines()
    assert "2 of 18 images have an EXIF orientation other than 1, which is not applied" in line
    assert "train/disc/0.jpg" in line
    if storage == "arrays":
        assert after.checksum == before.checksum


@pytest.mark.parametrize("storage", ["arrays", "folder"])
def test_processes_make_the_same_data_set(
    storage: str, write_tree: WriteTree, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = write_tree(size=(15, 12))
    threads = prepare("drawings", root=tmp_path / "a", source=folder, image_size=8, storage=storage)
    monkeypatch.setattr(parallel, "PROCESSES_FROM", 1)
    monkeypatch.setattr(parallel, "workers", lambda: 2)
    assert prepare("drawings", root=tmp_path / "b", source=folder, image_size=8, storage=storage) == threads


def test_a_picture_that_resizing_would_make_too_large(write_tree: WriteTree, tmp_path: Path) -> None:
    folder = write_tree()
    Image.new("L", (1, 400_000)).save(folder / "train" / "disc" / "long.png")
    with pytest.raises(InputError, match="an image has too many pixels") as caught:
        prepare("drawings", root=tmp_path / "cache", source=folder, image_size=32)
    assert caught.value.problems[0].where == str(folder / "train" / "disc" / "long.png")


def test_lines_of_progress(
    write_tree: WriteTree, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = write_tree()
    from suite.data import reading

    decode = decode_oriented

    def slow(*arguments: object) -> object:
        time.sleep(0.05)
        return decode(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(reading, "decode_oriented", slow)
    monkeypatch.setattr(text, "PROGRESS_SECONDS", 0.04)
    prepare("drawings", root=tmp_path / "cache", source=folder)
    lines = [line for line in capsys.readouterr().err.splitlines() if "decoding" in line]
    assert lines
    assert re.fullmatch(r"preparing drawings: decoding, \d+ of 18 images, \d+ s so far, about \d+ s left", lines[-1])


def test_the_interval_is_half_a_minute_at_most() -> None:
    assert text.PROGRESS_SECONDS <= 30


def test_names_beyond_ascii_are_the_same_in_every_locale(write_tree: WriteTree, tmp_path: Path) -> None:
    folder = write_tree("bilder-ä")
    for split in ("train", "test"):
        (folder / split / "disc").rename(folder / split / "犬é")
        first = next((folder / split / "犬é").iterdir())
        first.rename(first.with_name("ß.png"))
    locales = {
        "utf8": {"LC_ALL": "C.UTF-8"},
        "ascii": {"LC_ALL": "POSIX", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
    }
    for name, environment in locales.items():
        for storage in ("arrays", "folder"):
            done = command(
                *("data", "prepare", "drawings", "--from", folder, "--storage", storage),
                *("--data", tmp_path / f"{name}-{storage}"),
                **environment,
            )
            assert (done.returncode, done.stderr) == (0, b"")
    for storage in ("arrays", "folder"):
        metas = [load_meta("drawings", tmp_path / f"{name}-{storage}") for name in locales]
        assert metas[0] == metas[1]
        assert metas[0] is not None
        assert metas[0].classes == ("cross", "square", "犬é")
    dataset = metas[0].dataset
    verify(dataset, tmp_path / "ascii-folder")
    paths = {row.path for row in load_index(dataset, "train", tmp_path / "ascii-folder").rows}
    assert "train/犬é/ß.png" in paths
    images = load_images(dataset, "train", tmp_path / "ascii-folder")
    assert len(images.batch(images.labels)) == 12


@pytest.mark.parametrize("locale", ["C.UTF-8", "POSIX"])
@pytest.mark.parametrize("kind", ["not utf8", "control", "archive"])
def test_hostile_names_are_printed_in_every_locale(
    kind: str, locale: str, write_tree: WriteTree, tmp_path: Path
) -> None:
    source = write_tree()
    if kind == "not utf8":
        path = source / "train" / "disc" / "0.png"
        path.rename(path.parent / os.fsdecode(b"\xff\x1b[2J.png"))
    elif kind == "control":
        (source / "train" / "disc").rename(source / "train" / "\x1b]0;x\x07\u202e犬")
    else:
        source = tmp_path / "\x1b[2Jä.zip"
        source.write_bytes(b"no archive")
    environment = {"LC_ALL": locale, "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    done = command("data", "prepare", "drawings", "--from", source, "--data", tmp_path / "cache", **environment)
    assert done.returncode == 2
    assert done.stderr.startswith(b"error: ")
    assert b"Traceback" not in done.stderr
    assert not re.search(rb"[\x00-\x09\x0b-\x1f\x7f]|\xe2\x80\xae", done.stderr)


def test_a_name_that_is_too_long(write_tree: WriteTree, tmp_path: Path) -> None:
    done = command("data", "prepare", "x" * 300, "--from", write_tree(), "--data", tmp_path / "cache")
    assert done.returncode == 2
    assert b"a name that no data set can have" in done.stderr
    assert b"300 signs" in done.stderr


def test_a_link_as_the_source_that_leads_nowhere(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("absent")
    with pytest.raises(InputError, match="a link leads nowhere"):
        prepare("drawings", root=tmp_path / "cache", source=tmp_path / "link")


@pytest.mark.timeout(30)
@pytest.mark.parametrize(
    ("name", "file"),
    [("fashion_mnist", "train-labels-idx1-ubyte"), ("cifar10", "cifar-10-batches-py/data_batch_1")],
)
def test_a_pipe_among_original_files(name: str, file: str, tmp_path: Path) -> None:
    folder = tmp_path / "files"
    (folder / file).parent.mkdir(parents=True)
    if name == "fashion_mnist":
        (folder / "train-images-idx3-ubyte").write_bytes(bytes([0, 0, 8, 3]) + 3 * b"\0\0\0\1" + b"x")
    os.mkfifo(folder / file)
    with pytest.raises(InputError) as caught:
        prepare(name, root=tmp_path / "cache", source=folder)
    assert caught.value.problems[0].where == str(folder / file)
