"""A reader's installation without the extra `figures`: tables, verdicts and the page, and what is missing is said."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from suite.report.figures import available
from tests.cli.shell import Shell
from tests.conftest import REPOSITORY

# What `sys.modules` maps to None can't be imported: as if it weren't installed.
PROGRAM = f"""
import contextlib, sys
sys.modules |= dict.fromkeys({available.PACKAGES!r})
from suite.cli import main
for command in sys.argv[1].split("; "):
    sys.argv = ["lape", *command.split()]
    print("$", command, flush=True)
    with contextlib.suppress(SystemExit):
        main()
"""


def light(*commands: str, cwd: Path) -> tuple[dict[str, str], str]:
    """What each command prints in a process that has the light installation, and what all of them complain of."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, "; ".join(commands)], capture_output=True, text=True, cwd=cwd, check=True
    )  # fmt: skip
    parts = (part.partition("\n") for part in done.stdout.split("$ ")[1:])
    return {command: text for command, _, text in parts}, done.stderr


def test_tables_verdicts_and_pages_are_those_of_the_whole_installation(
    lape: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    results = f"--results {REPOSITORY / 'results'}"
    verbs = [f"tables l2bn_budget {results}", f"verify l2bn_budget {results}", f"verify l2bn_budget {results} --json"]
    told, complaints = light(*verbs, f"report l2bn_budget {results}", cwd=tmp_path)
    monkeypatch.chdir(tmp_path)
    assert {verb: lape(*verb.split()) for verb in verbs} == {verb: told[verb] for verb in verbs}
    assert "matplotlib, pandas, pyarrow aren’t installed (pip install 'lape-suite[figures]')" in complaints
    folder = tmp_path / "reports" / "l2bn_budget"
    page = (folder / "index.html").read_text(encoding="utf-8")
    assert page.count("Figures are left out") == 1
    assert "gains.svg" not in page
    assert not (folder / "figures").exists()
    lape("report", "l2bn_budget", "--results", REPOSITORY / "results")
    whole = (folder / "index.html").read_text(encoding="utf-8")
    assert "gains.svg" in whole
    assert (folder / "figures" / "gains.svg").is_file()
    assert "Their accuracies, drawn" not in page
    whole = re.sub(r'\s*<p class="files">Their accuracies, drawn: .*?</p>', "", whole)  # links to figures
    for part in ("verdicts", "failures", "made"):
        of_page, of_whole = (text.partition(f'id="{part}"')[2].partition("</section>")[0] for text in (page, whole))
        assert of_page == of_whole != "", part


def test_what_needs_the_curves_says_what_to_install(tmp_path: Path) -> None:
    source = REPOSITORY / "results" / "l2bn_budget"
    _, complaints = light(f"merge {source} {tmp_path / 'joined'}", cwd=tmp_path)
    assert complaints.startswith("error: pandas isn't installed, and this command needs it")
    assert "pip install 'lape-suite[figures]'" in complaints
    assert not (tmp_path / "joined" / "runs.jsonl").exists()
