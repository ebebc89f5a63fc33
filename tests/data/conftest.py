"""Small image folders with drawings."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.data.drawings import CLASSES, drawing


@pytest.fixture
def write_tree(tmp_path: Path) -> Callable[..., Path]:
    """Write an image folder with `train` and `test` images per class and return it."""

    def write(
        name: str = "pictures",
        *,
        train: int = 4,
        test: int = 2,
        classes: tuple[str, ...] = CLASSES,
        test_name: str = "test",
        size: tuple[int, int] = (12, 12),
        mode: str = "RGB",
        suffix: str = ".png",
    ) -> Path:
        folder = tmp_path / name
        for split, start, count in (("train", 0, train), (test_name, 1000, test)):
            for kind in classes:
                (folder / split / kind).mkdir(parents=True)
                for index in range(start, start + count):
                    drawing(kind, index, size, mode).save(folder / split / kind / f"{index}{suffix}")
        return folder

    return write
