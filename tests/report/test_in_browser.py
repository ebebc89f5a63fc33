"""The committed reports in a real browser."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.browser import Browser
from tests.conftest import REPOSITORY

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
