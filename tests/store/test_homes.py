"""A user without a home folder, as in a container that runs as any user id."""

from __future__ import annotations

import pwd
from pathlib import Path

import pytest

from suite.data.cache import data_root, open_root, scratch
from suite.errors import InputError
from suite.store.homes import expanded, home_folder


@pytest.fixture
def homeless(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(uid: int) -> None:
        raise KeyError(uid)

    for name in ("HOME", "LAPE_DATA", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(pwd, "getpwuid", unknown)


def test_home_is_where_the_system_says(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert home_folder("-") == tmp_path
    assert expanded(Path("~/x")) == tmp_path / "x"
    assert expanded(Path("x")) == Path("x")


@pytest.mark.usefixtures("homeless")
def test_no_home_is_one_message_that_names_the_ways_out(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no home folder[\s\S]*--data[\s\S]*HOME"):
        data_root()
    with pytest.raises(InputError, match=r"no home folder[\s\S]*--data[\s\S]*HOME"):
        open_root()
    assert open_root(tmp_path) == tmp_path
    monkeypatch.setenv("LAPE_DATA", "~/data")
    with pytest.raises(InputError, match=r"isn't there[\s\S]*~/data"):
        data_root()
    monkeypatch.setenv("LAPE_DATA", str(tmp_path))
    assert data_root() == tmp_path


@pytest.mark.parametrize("home", ["/dev/null", "/proc/nobody"])
def test_a_cache_that_cannot_be_written_names_the_ways_out(monkeypatch: pytest.MonkeyPatch, home: str) -> None:
    for name in ("LAPE_DATA", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", home)
    with pytest.raises(InputError, match=rf"{home}/.cache/lape[\s\S]*--data[\s\S]*HOME"), scratch(open_root()):
        pass
