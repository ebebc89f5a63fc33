"""The page of all claims in a real browser."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from suite.report.index.page import render_index
from tests.browser import Browser
from tests.report.index.conftest import Index, made_up
from tests.report.pages import EVIL

SHOWN = "[...document.querySelectorAll('.claim')].filter(one => one.checkVisibility())"
OVERFLOW = "document.documentElement.scrollWidth - document.documentElement.clientWidth"


@pytest.fixture
def opened(browser: Browser, index: Index) -> Browser:
    browser.open(index.page)
    return browser


def shown(browser: Browser) -> list[dict[str, str]]:
    return json.loads(browser.run(f"JSON.stringify({SHOWN}.map(one => ({{...one.dataset}})))"))


def choose(browser: Browser, key: str, value: str) -> None:
    where = "document.getElementById('sort')" if key == "sort" else f"document.querySelector('[data-key={key}]')"
    events = "for (const name of ['input', 'change']) one.dispatchEvent(new Event(name, {bubbles: true}))"
    browser.run(f"{{const one = {where}; one.value = {json.dumps(value)}; {events}}}")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1300, 390])
def test_it_opens_without_a_complaint_a_request_or_a_sideways_scroll(
    browser: Browser, index: Index, width: int, scheme: str
) -> None:
    browser.open(index.page, width=width, scheme=scheme)
    assert browser.problems == []
    assert browser.requests == [index.page.as_uri()]
    assert browser.run(OVERFLOW) <= 0
    assert len(shown(browser)) == len(index.lines)


def test_hostile_and_long_names_stay_text_that_fits(browser: Browser, index: Index, tmp_path: Path) -> None:
    long = EVIL * 6
    (entry,) = made_up(1, 3, paper=long, version=long, row=long, table=long)
    path = tmp_path / "index.html"
    evil = replace(entry, grid=long, date=long, reason=long, cost=long)
    path.write_text(render_index([evil], index.workspaces[:1]), encoding="utf-8")
    for width in (1300, 390):
        browser.open(path, width=width)
        choose(browser, "paper", long)
        choose(browser, "sort", "claimed")
        assert browser.problems == []
        assert browser.requests == [path.as_uri()]
        assert browser.run("document.scripts.length") == 1
        assert browser.run(OVERFLOW) <= 0
        assert [one["paper"] for one in shown(browser)] == [long]


def test_filters_show_the_lines_that_fit(opened: Browser, index: Index) -> None:
    for key, value in (("paper", "DTN"), ("budget", "stand-in"), ("axis", "norm")):
        choose(opened, key, value)
        found = shown(opened)
        assert found
        assert {one[key] for one in found} == {value}
        assert opened.run("document.getElementById('found').textContent") == f"{len(found)} of {len(index.lines)} lines"
        opened.run("document.getElementById('all').click()")
        assert len(shown(opened)) == len(index.lines)
    opened.run("document.querySelector('button[data-word=gain_here]').click()")
    assert {one["word"] for one in shown(opened)} == {"gain_here"}
    opened.run("document.querySelector('button[data-word=open]').click()")
    assert {one["word"] for one in shown(opened)} == {"gain_here", "open"}
    assert opened.run("document.querySelectorAll('.paper:not([hidden])').length") == 1


def test_the_search_takes_each_word_anywhere_in_a_line(opened: Browser, index: Index) -> None:
    opened.run("document.getElementById('search').focus()")
    opened.type("cct CIFAR-100 table2_budget")
    assert [one["word"] for one in shown(opened)] == ["open"]
    opened.type(" nothing-like-that")
    assert shown(opened) == []
    assert opened.run("document.getElementById('none').checkVisibility()")


def test_sorting_puts_all_lines_in_one_order(opened: Browser, index: Index) -> None:
    ways: dict[str, Callable[[dict[str, str]], float]] = {
        "claimed": lambda one: -float(one["claimed"]),
        "observed": lambda one: -float(one["observed"] or "-inf"),
        "word": lambda one: float(one["rank"]),
        "date": lambda one: -float(one["date"].replace("-", "") or 0),
    }
    before = shown(opened)
    for way, key in ways.items():
        choose(opened, "sort", way)
        found = [key(one) for one in shown(opened)]
        assert found == sorted(found)
        assert len(found) == len(index.lines)
        assert not opened.run("document.querySelector('.paper h2').checkVisibility()")
    choose(opened, "sort", "")
    assert shown(opened) == before


def test_the_keyboard_reaches_every_control_and_link(opened: Browser) -> None:
    count = opened.run(
        "window.wanted = new Set([...document.querySelectorAll('a, input, select, button')]"
        ".filter(one => one.checkVisibility())); wanted.size"
    )
    for _ in range(count + 2):
        opened.press("Tab")
        opened.run("wanted.delete(document.activeElement)")
    assert opened.run("wanted.size") == 0
    opened.run("document.querySelector('button[data-word=open]').focus()")
    opened.press("Enter", "\r")
    assert {one["word"] for one in shown(opened)} == {"open"}
