"""The commands of a page: its blocks of shell, line by line."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

from tests.conftest import REPOSITORY

DOCS = REPOSITORY / "docs"
PAGES = [REPOSITORY / "README.md", REPOSITORY / "CONTRIBUTING.md", *sorted(DOCS.rglob("*.md"))]


def blocks(page: Path, language: str) -> list[str]:
    """The blocks of a language on a page."""
    return re.findall(rf"^```{language}\n(.*?)^```", page.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)


def lape_commands(page: Path) -> list[list[str]]:
    """The arguments of each `lape` in the page's blocks of shell, in their order."""
    found = []
    for block in blocks(page, "sh"):
        for line in block.replace("\\\n", " ").splitlines():
            words = shlex.split(line, comments=True)
            if "lape" in words:
                found.append(words[words.index("lape") + 1 :])
    return found


def named_commands(page: Path) -> set[str]:
    """The texts in the page's prose that begin with `lape` and a verb."""
    return set(re.findall(r"`(lape [a-z]+[^`]*)`", page.read_text(encoding="utf-8")))
