"""Collects the site's pages in one folder, from which Zensical builds: `python -m documentation.staging FOLDER`.

The pages in `docs/` link to files elsewhere in the repository, as readers of the repository expect. A site has only its
own pages. So each linked file becomes a page, a linked folder becomes a list of its files, and the links are changed.
The report pages in `reports/` are copied as they are.
"""

from __future__ import annotations

import os
import re
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from suite.errors import InputError, Problem

REPOSITORY = Path(__file__).resolve().parents[1]
MOVED = {"CONTRIBUTING.md": "contributing.md", "CHANGELOG.md": "changelog.md", "README.md": "index.md"}
LANGUAGES = {".py": "python", ".yaml": "yaml", ".json": "json", ".md": "markdown", ".sbatch": "bash", ".toml": "toml"}
LONGEST = 200_000  # bytes of a file that becomes a page
LINK = re.compile(r"(!?\[(?:[^\[\]]|\[[^\]]*\])*\]\()([^)\s#]+)(#[^)\s]*)?(\))")
FENCE = re.compile(r"^(```.*?^```)", re.DOTALL | re.MULTILINE)


@dataclass
class Staging:
    """The site's pages, as they are collected in a folder.

    Args:
        root: the repository.
        folder: where the pages go.
    """

    root: Path
    folder: Path
    problems: list[Problem] = field(default_factory=list)
    _written: set[str] = field(default_factory=set)

    def collect(self) -> None:
        """Write all pages. Raises `InputError` with every link that leads nowhere."""
        shutil.rmtree(self.folder, ignore_errors=True)
        docs = self.root / "docs"
        for file in sorted(path for path in docs.rglob("*") if path.is_file()):
            self._write(file, file.relative_to(docs).as_posix())
        self._write(self.root / "CONTRIBUTING.md", "contributing.md")
        if (self.root / "reports").is_dir():
            tables = shutil.ignore_patterns("*.md")  # they would become pages; `nox -s docs` copies them afterwards
            shutil.copytree(self.root / "reports", self.folder / "reports", ignore=tables)
        if self.problems:
            raise InputError(problems=self.problems)

    def _write(self, file: Path, place: str) -> None:
        target = self.folder / place
        target.parent.mkdir(parents=True, exist_ok=True)
        if file.suffix == ".md":
            target.write_text(self._rewritten(file, place), encoding="utf-8")
        else:
            shutil.copyfile(file, target)

    def _rewritten(self, file: Path, place: str) -> str:
        parts = FENCE.split(file.read_text(encoding="utf-8"))
        return "".join(part if part.startswith("```") else self._with_links(part, file, place) for part in parts)

    def _with_links(self, text: str, file: Path, place: str) -> str:
        def changed(link: re.Match[str]) -> str:
            if re.match(r"[a-z]+:", link[2]):
                return link[0]
            target = Path(os.path.normpath(file.parent / link[2]))
            if not target.exists() or not target.is_relative_to(self.root):
                self._missing(file, text[: link.start()], link[2])
                return link[0]
            found = os.path.relpath(self._place(target), Path(place).parent)
            return f"{link[1]}{found}{link[3] or ''}{link[4]}"

        return LINK.sub(changed, text)

    def _missing(self, file: Path, before: str, link: str) -> None:
        heading = re.findall(r"^#+ (.*)$", before, re.MULTILINE)
        where = str(file.relative_to(self.root)) + (f", below {heading[-1]!r}" if heading else "")
        self.problems.append(
            Problem(f"a link leads nowhere: {link}", "a file of the repository", "none there", where, "mend the link")
        )

    def _place(self, target: Path) -> str:
        """Where a file or folder of the repository is in the site. Writes its page if it has none yet."""
        name = target.relative_to(self.root).as_posix()
        if name in MOVED:
            return MOVED[name]
        if target.is_relative_to(self.root / "docs"):
            return target.relative_to(self.root / "docs").as_posix()
        if target.is_relative_to(self.root / "reports"):
            return name
        page = f"source/{name}.md"
        if page not in self._written:
            self._written.add(page)
            path = self.folder / page
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("\n".join(self._listing(target) if target.is_dir() else _source(name, target)), "utf-8")
        return page

    def _listing(self, target: Path) -> Iterator[str]:
        name = target.relative_to(self.root).as_posix()
        yield from _head(f"{name}/")
        for file in sorted(path for path in target.iterdir() if path.is_file()):
            if file.stat().st_size > LONGEST or b"\0" in file.read_bytes():
                yield f"- `{file.name}`"
            else:
                yield f"- [{file.name}]({os.path.relpath(self._place(file), Path(f'source/{name}.md').parent)})"


def _source(name: str, file: Path) -> Iterator[str]:
    yield from _head(name)
    text = file.read_text(encoding="utf-8")
    fence = "`" * max(3, 1 + max(map(len, re.findall(r"`+", text)), default=0))
    yield f"{fence}{LANGUAGES.get(file.suffix, 'text')}\n{text.rstrip()}\n{fence}\n"


def _head(name: str) -> Iterator[str]:
    yield "---\nsearch:\n  exclude: true\n---\n"
    yield f"# {name}\n\nIn the repository: `{name}`\n"


if __name__ == "__main__":
    try:
        Staging(REPOSITORY, Path(sys.argv[1])).collect()
    except InputError as error:
        sys.exit(f"error: {error}")
