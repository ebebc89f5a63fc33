from __future__ import annotations

import base64
import hashlib
import re
from dataclasses import replace

from suite.report.index.page import render_index
from suite.text import interval, points
from tests.conftest import REPOSITORY
from tests.report.index.conftest import Index, made_up
from tests.report.pages import EVIL, Page


def test_the_page_runs_its_own_script_and_asks_for_nothing(index: Index) -> None:
    text = index.page.read_text(encoding="utf-8")
    page = Page(text)
    policy = next(str(attrs["content"]) for _, attrs in page.elements if "Content-Security-Policy" in attrs.values())
    (script,) = re.findall(r"<script>(.*?)</script>", text, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert policy == f"default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{digest}'"
    assert not {tag for tag, _ in page.elements} & {"link", "img", "iframe", "object", "base"}
    assert not re.search(r"@import|url\(|src=|https?://", text)
    assert not any(name.startswith("on") for _, attrs in page.elements for name in attrs)


def test_links_lead_somewhere_and_ids_are_unique(index: Index) -> None:
    page = Page(index.page.read_text(encoding="utf-8"))
    ids = page.attributes("id")
    assert len(ids) == len(set(ids))
    reported = {one.grid.name for one in index.workspaces if one.has_runs}
    for target in page.attributes("href"):
        path, _, anchor = target.partition("#")
        assert path.removesuffix("/index.html") in reported if path else anchor in ids, target
    assert set(page.attributes("aria-labelledby")) <= set(ids)


def test_each_line_says_what_its_drawing_shows(index: Index) -> None:
    page = Page(index.page.read_text(encoding="utf-8"))
    labels = [str(attrs["aria-label"]) for _, attrs in page.elements if attrs.get("role") == "img"]
    assert len(labels) == len(index.lines)
    for entry, label in zip(index.lines, labels, strict=True):
        size = "a gain of any size; " if entry.claim.any_size else f"{points(entry.claim.claimed_gain)}, margin "
        assert label.startswith(f"Claimed {size}")
        if (seen := entry.verdict.evidence) is not None:
            ends = f"95 % interval from {points(seen.interval.low)} to {points(seen.interval.high)}"
            assert f"observed {points(seen.gain.mean)}, {ends}, {seen.gain.n} pairs" in label
            assert interval(seen.interval.low, seen.interval.high) in page.words
        else:
            assert label.endswith("; no runs")


def test_the_same_input_gives_the_same_bytes(index: Index) -> None:
    assert render_index(index.lines, index.workspaces) == index.page.read_text(encoding="utf-8")
    assert str(REPOSITORY) not in index.page.read_text(encoding="utf-8")


def test_hostile_names_stay_text(index: Index) -> None:
    (entry,) = made_up(1, 3, paper=EVIL, version=EVIL, row=EVIL, table=EVIL)
    evil = replace(entry, grid=EVIL, date=EVIL, reason=EVIL, cost=EVIL)
    text = render_index([evil], index.workspaces[:1])
    assert text.count("<script") == 1
    assert Page(text).words.count(EVIL) >= 6


def test_two_hundred_claims_of_two_thousand_runs_fit_two_megabytes() -> None:
    assert len(render_index(made_up(200, 10), ()).encode()) < 600_000
