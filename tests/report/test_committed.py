"""reports/ is what the committed results give.

`python -m tests.report.test_committed` (or `nox -s reports`) writes it anew, and the README's picture of its first
page. Only committed results count, so that a run of a developer's own doesn't get in.
"""

from __future__ import annotations

import hashlib
import io
import json
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path

import pytest

from suite.report.index.entries import entries, open_all
from suite.report.index.page import render_index
from suite.report.workspace import open_workspace
from suite.verdict.paper_level import by_claim
from suite.verdict.verdicts import to_json
from tests.conftest import REPOSITORY

REPORTS = REPOSITORY / "reports"
PICTURE = REPOSITORY / "docs" / "quickstart.png"
DIGESTS = "digests.json"
LARGEST = 6_000_000  # bytes of all reports
_FIX = "run: nox -s reports"
_FIGURE = re.compile(r"(href=\"figures/)([^\"]+)")


def committed_results() -> list[Path]:
    """The files of results/ that git knows, relative to the repository."""
    found = subprocess.run(
        ["git", "ls-files", "-z", "results"], cwd=REPOSITORY, capture_output=True, text=True, check=False
    )
    if found.returncode != 0:
        pytest.skip("not a git repository")
    return [path for name in sorted(found.stdout.split("\0")) if name and (path := Path(name)).suffix != ".md"]


def digest(files: Iterable[Path], root: Path) -> str:
    """A hash of the names and contents of files. Line ends don't count."""
    found = hashlib.sha256()
    for path in sorted(files):
        content = (root / path).read_bytes()
        if path.suffix != ".parquet":
            content = content.replace(b"\r\n", b"\n")
        found.update(f"{path.as_posix()} {len(content)}\n".encode() + content)
    return found.hexdigest()


def digests() -> dict[str, str]:
    """What the reports are made of, and the reports."""
    texts = [*(REPOSITORY / "grids").rglob("*.yaml"), *(REPOSITORY / "suite" / "report" / "templates").glob("*.*")]
    inputs = [*committed_results(), *(path.relative_to(REPOSITORY) for path in texts if path.suffix != ".pyc")]
    outputs = [path.relative_to(REPORTS) for path in REPORTS.rglob("*") if path.is_file() and path.name != DIGESTS]
    outputs = [path for path in outputs if path.parts[0] not in ("quickstart", "inspect")]  # a developer's own
    return {"inputs": digest(inputs, REPOSITORY), "reports": digest(outputs, REPORTS)}


def test_the_reports_are_of_the_committed_results() -> None:
    assert json.loads((REPORTS / DIGESTS).read_text(encoding="utf-8")) == digests(), _FIX


def test_the_verdicts_of_a_report_are_those_of_today() -> None:
    workspace = open_workspace("cifar_subset", (), None, REPOSITORY / "results", REPORTS)
    found = (REPORTS / "cifar_subset" / "verdicts.json").read_text(encoding="utf-8")
    assert found == to_json(workspace.verdicts, by_claim(workspace.verdicts)), _FIX


def test_the_reports_are_small_and_lead_nowhere_else() -> None:
    files = [path for path in REPORTS.rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) < LARGEST
    assert PICTURE.stat().st_size < 200_000
    for page in REPORTS.rglob("index.html"):
        text = page.read_text(encoding="utf-8")
        assert str(REPOSITORY) not in text
        for target in re.findall(r'href="([^"#]+)', text):
            assert (page.parent / target).is_file(), (page, target)


@pytest.mark.slow
def test_the_first_page_is_that_of_today(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    copy_committed(tmp_path)
    monkeypatch.chdir(tmp_path)
    workspaces = open_all(Path("results"), REPORTS)
    assert (REPORTS / "index.html").read_text(encoding="utf-8") == render_index(entries(workspaces), workspaces), _FIX


def copy_committed(folder: Path) -> None:
    """Copy the committed results to a folder, from which commands find them and the grids as from the repository."""
    for path in committed_results():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(REPOSITORY / path, folder / path)
    (folder / "grids").symlink_to(REPOSITORY / "grids")


def write() -> None:
    """Write reports/ and the picture."""
    for path in REPORTS.iterdir() if REPORTS.is_dir() else ():
        if path.name not in ("quickstart", "inspect"):
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    with tempfile.TemporaryDirectory() as folder:
        copy_committed(Path(folder))
        command = [sys.executable, "-m", "suite", "report", "--all", "--reports", str(REPORTS)]
        subprocess.run(command, cwd=folder, check=True)
    for page in REPORTS.glob("*/index.html"):  # the pages hold their drawings; files that no page links to are left out
        linked = {name for _, name in _FIGURE.findall(page.read_text(encoding="utf-8"))}
        for path in (page.parent / "figures").glob("*.svg"):
            if path.name not in linked:
                path.unlink()
    (REPORTS / DIGESTS).write_text(json.dumps(digests(), indent=1) + "\n", encoding="utf-8")
    take_picture()


def take_picture() -> None:
    """Write the README's picture of the first page."""
    from PIL import Image

    from tests.browser import Browser

    with Browser() as browser:
        browser.open(REPORTS / "index.html", 1200, 1000)
        picture = Image.open(io.BytesIO(browser.picture())).convert("RGB")
    picture.quantize(128, dither=Image.Dither.NONE).save(PICTURE, optimize=True)


if __name__ == "__main__":
    write()
