"""What a record says of where it was made."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

import suite
from suite.store import environment
from suite.store.environment import describe, node_name, public_name
from suite.store.record import Environment


def commit_of(package: Path, monkeypatch: pytest.MonkeyPatch) -> str | None:
    monkeypatch.setattr(suite, "__file__", str(package / "__init__.py"))
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


def test_new_files_of_the_package_are_changes_whatever_git_is_told(
    checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    git = ["git", "-C", str(checkout.parent)]
    clean = commit_of(checkout, monkeypatch)
    subprocess.run([*git, "config", "status.showUntrackedFiles", "no"], check=True)
    (checkout / "layers").mkdir()
    new = checkout / "layers" / "new.py"
    new.write_text("")
    assert commit_of(checkout, monkeypatch) == f"{clean}+dirty"
    (checkout.parent / ".git" / "info" / "exclude").write_text("new.py\n__pycache__\n")
    assert commit_of(checkout, monkeypatch) == f"{clean}+dirty"
    new.unlink()
    (checkout / "__pycache__").mkdir()
    (checkout / "__pycache__" / "environment.pyc").write_text("")
    assert commit_of(checkout, monkeypatch) == clean


def test_files_that_git_is_told_not_to_look_at_are_changes(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clean = commit_of(checkout, monkeypatch)
    command = ["git", "-C", str(checkout), "update-index", "--assume-unchanged", "environment.py"]
    subprocess.run(command, check=True)
    (checkout / "environment.py").write_text("changed")
    assert commit_of(checkout, monkeypatch) == f"{clean}+dirty"


def test_grids_are_no_code_and_removed_code_is_a_change(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a grid or a recipe says is in the record's config."""
    clean = commit_of(checkout, monkeypatch)
    recipes = checkout.parent / "grids" / "recipes"
    recipes.mkdir(parents=True)
    (recipes / "mine.yaml").write_text("epochs: 1")
    (checkout.parent / "test_mine.py").write_text("")
    assert commit_of(checkout, monkeypatch) == clean
    (checkout / "environment.py").unlink()
    assert commit_of(checkout, monkeypatch) == f"{clean}+dirty"


def test_variables_of_another_repository_change_nothing(
    checkout: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Git sets them for its hooks."""
    clean = commit_of(checkout, monkeypatch)
    subprocess.run(["git", "init", "-q", str(tmp_path / "other")], check=True)
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "other" / ".git"))
    monkeypatch.setenv("GIT_WORK_TREE", str(tmp_path / "other"))
    assert commit_of(checkout, monkeypatch) == clean


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


@pytest.mark.parametrize(
    ("hostname", "public"),
    [("gpu-17", "gpu-17"), ("gpu-17.cluster.example.org", "gpu-17"), ("a100-1-2", "a100-1-2"), ("", "unnamed")],
)
def test_a_node_is_named_without_its_domain(hostname: str, public: str) -> None:
    assert public_name(hostname) == public


@pytest.mark.parametrize("hostname", ["10.1.2.3", "ip-10-1-2-3", "ip-10-1-2-3.ec2.internal", "fe80::1"])
def test_a_name_that_tells_an_address_is_hidden_but_tells_nodes_apart(hostname: str) -> None:
    assert public_name(hostname).startswith("node-")
    assert not set(public_name(hostname)) & {".", ":"}
    assert "10-1" not in public_name(hostname)
    assert public_name(hostname) != public_name(hostname + "4")


def test_this_machine_has_a_name() -> None:
    assert node_name()
