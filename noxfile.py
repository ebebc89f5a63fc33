"""The project's sessions: `uv run nox -l` lists them. All but the site's use the environment that uv made."""

from __future__ import annotations

import os
import shutil

import nox

nox.options.default_venv_backend = "none"
nox.options.sessions = ["lint", "types", "tests"]

# Three processes even on two cores: one of them mostly waits for Ray. Each more would import torch, timm and Ray once
# more, and collect all tests: six CPU-seconds. tests/distribution.py deals the files out.
PROCESSES = ("-n", "3")
ONE_THREAD = {"OMP_NUM_THREADS": "1"}  # the processes share the cores


@nox.session
def quickstart(session: nox.Session) -> None:
    """Run the quickstart grid on real digits, and print its table, its verdicts and the report's path."""
    session.run("lape", "data", "prepare", "digits")
    session.run("lape", "run", "grids/quickstart.yaml", "--keep-weights", *session.posargs)


@nox.session
def tests(session: nox.Session) -> None:
    """Run the tests, without the slow ones; `-- ARGUMENTS` gives pytest these arguments in place of its own."""
    arguments = session.posargs or ["-m", "not slow", *PROCESSES]
    session.run("pytest", *arguments, env=ONE_THREAD)


@nox.session
def tests_all(session: nox.Session) -> None:
    """Run all tests: the others in several processes, then the slow ones, which use all cores, one after another."""
    thorough = ("--hypothesis-profile", "thorough")
    session.run("pytest", "-m", "not slow", *PROCESSES, *thorough, *session.posargs, env=ONE_THREAD)
    session.run("pytest", "-m", "slow", *session.posargs, env=ONE_THREAD)


@nox.session
def lint(session: nox.Session) -> None:
    """Check style, format and the direction of imports."""
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")
    session.run("lint-imports")


@nox.session
def types(session: nox.Session) -> None:
    """Check types."""
    session.run("mypy")


@nox.session
def reports(session: nox.Session) -> None:
    """Write reports/ anew from the committed results, and the README's picture of its first page."""
    session.run("python", "-m", "tests.report.test_committed")


@nox.session
def docs(session: nox.Session) -> None:
    """Build the documentation site in build/site. A link that leads nowhere is an error."""
    session.run("python", "-m", "documentation.staging", "build/pages")
    # Zensical has an environment of its own, from the same lock file: nothing else needs its packages.
    zensical = ("run", "--isolated", "--frozen", "--only-group", "docs", "zensical")
    session.run(os.environ.get("UV", "uv"), *zensical, "build", "--clean", "--strict", external=True)
    shutil.copytree("reports", "build/site/reports", dirs_exist_ok=True)


@nox.session
def bench(session: nox.Session) -> None:
    """Measure what the suite itself costs, and how often simulated verdicts are wrong (that alone takes minutes)."""
    session.run("python", "-m", "benchmarks", *session.posargs)
