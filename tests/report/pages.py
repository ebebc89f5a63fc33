"""Reads an HTML page as a test wants it: its elements and its text."""

from __future__ import annotations

from collections.abc import Sequence
from html.parser import HTMLParser

VOID = {"meta", "link", "br", "hr", "img", "input", "wbr"}
ENDED_BY = {  # rows and cells whose end tag is left out, by the tags that end them
    "td": ("td", "th"), "th": ("td", "th"), "tr": ("td", "th", "tr"),
    "/tbody": ("td", "th", "tr"),
}  # fmt: skip
EVIL = "<script>alert('&amp;')</script>"


class Page(HTMLParser):
    """The elements of a page; fails where they are not properly nested."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        self._end(ENDED_BY.get(tag, ()))
        if tag not in VOID:
            self.open.append(tag)

    def _end(self, tags: Sequence[str]) -> None:
        while self.open and self.open[-1] in tags:
            self.open.pop()

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        self._end(ENDED_BY.get(f"/{tag}", ()))
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if not self.open or self.open[-1] not in ("style", "script"):
            self.text.append(data)

    def attributes(self, name: str) -> list[str]:
        return [str(attrs[name]) for _, attrs in self.elements if name in attrs]

    @property
    def words(self) -> str:
        return " ".join(" ".join(self.text).split())
