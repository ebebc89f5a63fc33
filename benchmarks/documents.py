"""Documents whose tables are made from figures."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence


def filled(document: str, tables: Mapping[str, str]) -> str:
    """The document with its tables made anew, each between a comment with its name and one that says `end`."""
    block = re.compile(rf"(<!-- ({'|'.join(tables)}) -->\n).*?(<!-- end -->)", re.DOTALL)
    return block.sub(lambda found: f"{found[1]}\n{tables[found[2]]}\n\n{found[3]}", document)


def markdown(heads: Sequence[str], lines: Iterable[Sequence[str]], align: str = "--:") -> str:
    """A table in Markdown. align: of all columns."""
    return "\n".join(f"| {' | '.join(line)} |" for line in (heads, [align] * len(heads), *lines))
