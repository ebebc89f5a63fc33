"""Images that lie in both splits, or under two classes."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from suite.data.preparation import prepare


@pytest.mark.parametrize("storage", ["arrays", "folder"])
@pytest.mark.parametrize("copy", [shutil.copy, os.link])
def test_copies_across_splits_and_classes_are_told(
    copy: Callable[..., object],
    storage: str,
    write_tree: Callable[..., Path],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    folder = write_tree()
    prepare("plain", root=tmp_path / "cache", source=folder, storage=storage)
    assert capsys.readouterr().err == ""
    copy(folder / "train" / "disc" / "0.png", folder / "test" / "disc" / "copy.png")
    copy(folder / "train" / "disc" / "1.png", folder / "train" / "square" / "again.png")
    prepare("copied", root=tmp_path / "cache", source=folder, storage=storage)
    one, other = capsys.readouterr().err.splitlines()
    assert one.startswith(
        "note: test images that are training images, too: 1, such as train/disc/0.png and test/disc/c"
    )
    assert other.startswith("note: images that lie under two classes: 1, such as train/disc/1.png and train/square/ag")
