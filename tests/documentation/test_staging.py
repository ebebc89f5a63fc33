"""The site's pages: links to files of the repository lead to pages of the site, and a link to nowhere is told."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from documentation.staging import Staging
from suite.errors import InputError
from tests.conftest import REPOSITORY


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pages")
    Staging(REPOSITORY, folder / "site").collect()
    return folder / "site"


def test_every_link_of_every_page_leads_to_a_page_of_the_site(pages: Path) -> None:
    count = 0
    for page in pages.rglob("*.md"):
        text = re.sub(r"^(`{3,}).*?^\1$", "", page.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)
        for link in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", text):
            if not re.match(r"[a-z]+:", link):
                count += 1
                assert (page.parent / link).is_file(), f"{page.relative_to(pages)}: {link}"
    assert count > 100


def test_source_files_are_pages_and_folders_are_lists(pages: Path) -> None:
    joins = (pages / "source" / "suite" / "models" / "joins.py.md").read_text(encoding="utf-8")
    assert (REPOSITORY / "suite" / "models" / "joins.py").read_text(encoding="utf-8").rstrip() in joins
    listing = (pages / "source" / "grids" / "claims.md").read_text(encoding="utf-8")
    assert "- [table2.yaml](claims/table2.yaml.md)" in listing
    assert (pages / "source" / "grids" / "claims" / "table2.yaml.md").is_file()
    assert "- `history.parquet`" in (pages / "source" / "results" / "cifar_subset.md").read_text(encoding="utf-8")


def test_every_page_of_the_documentation_is_in_the_navigation(pages: Path) -> None:
    def files(part: object) -> list[str]:
        inner = part if isinstance(part, list) else part.values() if isinstance(part, dict) else ()
        return [part] if isinstance(part, str) else [name for one in inner for name in files(one)]

    project = tomllib.loads((REPOSITORY / "zensical.toml").read_text(encoding="utf-8"))["project"]
    named = [name for name in files(project["nav"]) if name.endswith(".md")]
    present = {path.relative_to(pages).as_posix() for path in pages.rglob("*.md")}
    assert sorted(named) == sorted(name for name in present if not name.startswith("source/"))


def test_a_link_to_nowhere_is_told_with_its_place(tmp_path: Path) -> None:
    (tmp_path / "docs").mkdir()
    (tmp_path / "CONTRIBUTING.md").write_text("# Contributing\n\n```sh\n[no](link.md)\n```\n")
    text = "# A page\n\n## A part\n\n[here](page.md#a-part), [there](../gone.md), [out](../../etc/passwd), [web](https://example.org)\n"
    (tmp_path / "docs" / "page.md").write_text(text)
    with pytest.raises(InputError) as error:
        Staging(tmp_path, tmp_path / "out").collect()
    told = [(problem.what, problem.where) for problem in error.value.problems]
    assert told == [
        ("a link leads nowhere: ../gone.md", "docs/page.md, below 'A part'"),
        ("a link leads nowhere: ../../etc/passwd", "docs/page.md, below 'A part'"),
    ]
