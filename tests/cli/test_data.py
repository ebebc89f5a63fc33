"""`lape data prepare` and `lape data ls`."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.shell import Shell, Write


def test_prepare_and_list(lape: Shell, tmp_path: Path) -> None:
    out = lape("data", "prepare", "digits", "--data", tmp_path / "data")
    assert "1195 + 602 images, 8×8×1, 10 classes" in out
    listed = lape("data", "ls", "--data", tmp_path / "data")
    assert "prepared (built in): 1195 + 602 images" in listed
    assert "not prepared (built in): run lape data prepare cifar10" in listed


def test_another_data_set_of_the_same_name_is_told(lape: Shell, tmp_path: Path) -> None:
    from tests.data.drawings import drawing

    for split in ("train", "test"):
        for kind in ("disc", "cross"):
            (tmp_path / "pictures" / split / kind).mkdir(parents=True)
            drawing(kind, len(split), (12, 12), "RGB").save(tmp_path / "pictures" / split / kind / "0.png")
    command = ["data", "prepare", "mine", "--from", tmp_path / "pictures", "--data", tmp_path / "data"]
    for _ in range(2):
        lape(*command)
        assert (lape.code, lape.err) == (0, "")
    lape(*command, "--image-size", "8")
    assert lape.code == 0
    assert "took the place of another data set 'mine', of 12×12 pixels" in lape.err


def test_a_folder_of_ones_own_runs(
    lape: Shell, write_grid: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Pictures to a prepared data set, its declaration to a grid, the grid to a table."""
    from PIL import Image

    monkeypatch.setenv("LAPE_DATA", str(tmp_path / "data"))  # the tests share the other

    for split, count in (("train", 20), ("val", 6)):
        for colour, name in ((40, "dark"), (210, "light")):
            folder = tmp_path / "pictures" / split / name
            folder.mkdir(parents=True)
            for index in range(count):
                Image.new("RGB", (8, 8), (colour, colour, index)).save(folder / f"{index}.png")
    out = lape("data", "prepare", "mine", "--from", tmp_path / "pictures")
    assert lape.code == 0, lape.err
    declaration = out[out.index("datasets:") :]
    path = write_grid(
        ("[digits]", "[mine]"),
        ("batch_size: 64", "batch_size: 8"),
        ("train_images: 128", "train_images: 40"),
        ("seeds:", f"{declaration}\nseeds:"),
    )
    lape("run", path, "--executor", "serial")
    assert lape.code == 0, lape.err
    assert "mine" in lape("tables", path)
