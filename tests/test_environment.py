"""What a record says of where it was made."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from suite import environment
from suite.environment import describe
from suite.record import Environment


def commit_of(package: Path, monkeypatch: pytest.MonkeyPatch) -> str | None:
    monkeypatch.setattr(environment, "__file__", str(package / "environment.py"))
    return environment._commit.__wrapped__()


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository with a package in it."""
    for name in ("AUTHOR", "COMMITTER"):
        monkeypatch.setenv(f"GIT_{name}_NAME", "x")
        monkeypatch.setenv(f"GIT_{name}_EMAIL", "x@example.org")
    package = tmp_path / "repository" / "suite"
    package.mkdir(parents=True)
    (package / "environment.py").write_text("")
    for command in (["init", "-q"], ["add", "-A"], ["commit", "-qm", "x"]):
        subprocess.run(["git", "-C", str(package.parent), *command], check=True)
    return package


def test_the_commit_and_whether_the_code_was_changed(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clean = commit_of(checkout, monkeypatch)
    assert clean is not None
    assert len(clean) == 40
    (checkout.parent / "results").mkdir()
    (checkout.parent / "results" / "runs.jsonl").write_text("results are no code")
    assert commit_of(checkout, monkeypatch) == clean
    (checkout / "environment.py").write_text("changed")
    assert commit_of(checkout, monkeypatch) == f"{clean}+dirty"


def test_an_installed_package_has_no_commit(checkout: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    inside = checkout.parent / ".venv" / "lib" / "suite"
    inside.mkdir(parents=True)
    assert commit_of(inside, monkeypatch) is None  # that repository is not ours
    assert commit_of(tmp_path, monkeypatch) is None


def test_groups_tell_apart_what_may_change_a_result() -> None:
    base = describe("2.15.0", "cpu", "fp32", 1)
    assert base.processor
    assert base.group == "torch 2.15.0, cpu, fp32"
    for change in ({"torch": "2.14.0"}, {"device": "NVIDIA H100"}, {"precision": "bf16"}):
        assert Environment(**{**base.model_dump(), **change}).group != base.group
