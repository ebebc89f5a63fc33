"""What the tests of the data share."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest


@pytest.fixture
def root(data_folder: Path, tmp_path: Path) -> Path:
    """A cache of one's own that holds the digits."""
    shutil.copytree(data_folder, tmp_path / "cache")
    return tmp_path / "cache"
