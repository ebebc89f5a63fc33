"""The files that a hosted project has say what the project's own say: CI, pre-commit, issue templates, citation."""

from __future__ import annotations

import re
from typing import Any

import pytest
from ruamel.yaml import YAML

from suite import __version__
from tests.browser import PROGRAMS
from tests.conftest import REPOSITORY


def read(name: str) -> Any:
    return YAML(typ="safe").load((REPOSITORY / name).read_text(encoding="utf-8"))


def test_the_workflow_calls_the_script_of_ci_and_may_only_read() -> None:
    workflow = read(".github/workflows/ci.yml")
    (job,) = workflow["jobs"].values()
    assert [step["run"] for step in job["steps"] if "run" in step] == [
        "google-chrome --version", "bash .ci/run"
    ]  # fmt: skip
    assert "google-chrome" in PROGRAMS
    assert workflow["permissions"] == {"contents": "read"}
    assert (REPOSITORY / ".ci" / "run").is_file()


def test_pre_commit_does_what_lint_does() -> None:
    session = (REPOSITORY / "noxfile.py").read_text(encoding="utf-8").partition("def lint(")[2].partition("@nox")[0]
    commands = [re.findall(r'"([^"]+)"', arguments) for arguments in re.findall(r"session\.run\((.*)\)", session)]
    lint = [" ".join(part for part in command if part != ".") for command in commands]
    assert lint == ["ruff check", "ruff format --check", "lint-imports"]
    (repository,) = read(".pre-commit-config.yaml")["repos"]
    entries = [hook["entry"].removeprefix("uv run ").removesuffix(" --force-exclude") for hook in repository["hooks"]]
    assert entries == lint


@pytest.mark.parametrize("name", ["bug", "claim"])
def test_issue_templates_ask_with_labels(name: str) -> None:
    template = read(f".github/ISSUE_TEMPLATE/{name}.yml")
    assert template.keys() >= {"name", "description", "body"}
    assert all(field["attributes"]["label"] for field in template["body"])
    if name == "bug":
        assert any("lape doctor" in field["attributes"]["label"] for field in template["body"])


def test_the_citation_is_of_this_version() -> None:
    citation = read("CITATION.cff")
    assert (citation["version"], citation["license"]) == (__version__, "Apache-2.0")
    assert citation.keys() >= {"cff-version", "message", "title", "authors"}


def test_the_changelog_is_where_it_says() -> None:
    text = (REPOSITORY / "CHANGELOG.md").read_text(encoding="utf-8")
    (link,) = re.findall(r"\]\((.+)\)", text)
    assert (REPOSITORY / link).read_text(encoding="utf-8").startswith("# Changelog")
