"""The committed reports in a real browser."""

from __future__ import annotations

from pathlib import Path

import pytest

from suite.report.page import render
from suite.report.remarks import GridSummary
from suite.verdict.verdicts import judge
from tests.browser import Browser
from tests.conftest import REPOSITORY
from tests.frames import frame_of, paired_rows, run
from tests.report.pages import EVIL
from tests.verdict.test_verdicts import claim

REPORTS = REPOSITORY / "reports"
PAGES = sorted(str(page.relative_to(REPORTS)) for page in REPORTS.rglob("index.html"))
OVERFLOW = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
# Text that is smaller than its line is clipped, or that lies on other text, isn't readable.
CUT = """
[...document.querySelectorAll('h1, h2, h3, h4, .meta, .badge, .says, .numbers dd')]
  .filter(one => one.checkVisibility() && one.scrollWidth > one.clientWidth + 1).map(one => one.textContent)
"""


@pytest.mark.parametrize(("width", "scheme"), [(1300, "light"), (390, "dark")])
@pytest.mark.parametrize("name", PAGES)
def test_a_report_opens_without_a_complaint_a_request_or_a_sideways_scroll(
    browser: Browser, name: str, width: int, scheme: str
) -> None:
    page = Path(REPORTS / name)
    browser.open(page, width=width, scheme=scheme)
    assert browser.problems == []
    assert browser.requests == [page.as_uri()]
    assert browser.run(OVERFLOW) <= 0
    assert browser.run(CUT) == []


def test_links_between_claims_runs_and_pages_lead_to_each_other(browser: Browser) -> None:
    browser.open(REPORTS / "index.html")
    link = "document.querySelector('.claim.gain_here .meta a')"
    title = browser.run(f"{link}.closest('.claim').querySelector('h4').textContent")
    target = browser.run(f"{link}.getAttribute('href')")
    page, _, anchor = target.partition("#")
    browser.open(REPORTS / page)
    claim = f"document.getElementById('{anchor}')"
    assert title in browser.run(f"{claim}.querySelector('h4').textContent")
    run = f"document.querySelector({claim}.querySelector('.pairs td a').getAttribute('href').replace('#', '#'))"
    assert "lape rerun" in browser.run(f"{run}.textContent")
    links = f"[...{run}.closest('tbody').querySelectorAll('a')].map(one => one.getAttribute('href'))"
    assert f"#{anchor}" in browser.run(links)
    assert browser.run("document.querySelector('.eyebrow a').getAttribute('href')") == "../index.html"


@pytest.mark.parametrize(("width", "scheme"), [(1300, "dark"), (390, "light")])
def test_hostile_and_long_names_stay_text_that_fits(browser: Browser, tmp_path: Path, width: int, scheme: str) -> None:
    long = EVIL * 6
    rows = paired_rows([0.3, 0.1], arch=long, dataset=long, recipe=long, environment=long)
    rows.append(run(5, arch=long, status="error", error=f"x\n{long}", started_at=EVIL))
    evil = claim(id="c", match={"arch": long}, paper=long, row=long, kind="analogue", published_for=long)
    grid = GridSummary(long, long, 3, 2, 1, 0, [0, 1], {long: {long: long}}, long, [(long, long)], long)
    page = render(grid, frame_of(rows), None, judge(frame_of(rows), [evil]), tmp_path, up="../index.html")
    browser.open(page, width=width, scheme=scheme)
    browser.run("document.querySelectorAll('details').forEach(one => { one.open = true; })")
    assert browser.problems == []
    assert browser.requests == [page.as_uri()]
    assert browser.run("document.scripts.length") == 0
    assert browser.run("document.querySelector('h1').textContent") == long
    assert browser.run(OVERFLOW) <= 0


def test_the_keyboard_reaches_everything_of_a_grids_report(browser: Browser) -> None:
    browser.open(REPORTS / "cifar_subset" / "index.html")
    browser.run("document.querySelector('summary').focus()")
    browser.press("Enter", "\r")
    assert browser.run("document.querySelector('details').open")
    count = browser.run(
        "window.wanted = new Set([...document.querySelectorAll('a, summary, [tabindex]')]"
        ".filter(one => one.checkVisibility())); document.activeElement.blur(); wanted.size"
    )
    for _ in range(count + 2):
        browser.press("Tab")
        browser.run("wanted.delete(document.activeElement)")
    assert browser.run("[...wanted].map(one => one.outerHTML)") == []
