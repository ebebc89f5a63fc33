"""The page of all claims as HTML.

It makes no requests. Its one script is in the page, and its policy names the script's hash: no other one runs. All text
from records and files is escaped. The same input gives the same bytes: the only dates are those of the runs.
"""

from __future__ import annotations

import base64
import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any
from urllib.parse import quote

from markupsafe import Markup

from suite import __version__
from suite.report.claim_names import claim_names
from suite.report.claim_rows import SIGNS, claim_anchor, claim_row
from suite.report.figures.forest import SHAPES, Scale, axis, common_scale, gridlines
from suite.report.index.entries import BUDGETS, NOT_RUN, Entry
from suite.report.remarks import made
from suite.report.templates import asset, template
from suite.report.workspace import Workspace
from suite.store.files import write_atomic
from suite.text import encodable
from suite.verdict.sentences import MEANINGS

INDEX = "index.html"
_WORDS = sorted(MEANINGS, key=lambda word: word == "not_tested")  # what the runs say first


def write_index(lines: Sequence[Entry], workspaces: Sequence[Workspace], reports: Path) -> Path:
    """Write reports/index.html and return its path.

    Args:
        lines: the lines of the page, in their order.
        workspaces: the grids, for the list at its end.
        reports: the folder of all grids' reports.

    Raises:
        InputError: the folder can't be written, or a record is wrong.
    """
    write_atomic(reports / INDEX, encodable(render_index(lines, workspaces)).encode())
    return reports / INDEX


def render_index(lines: Sequence[Entry], workspaces: Sequence[Workspace]) -> str:
    """The page as HTML; see `write_index`."""
    scale = common_scale(entry.verdict for entry in lines)
    reported = {workspace.grid.name for workspace in workspaces if workspace.has_runs}
    titles = _titles(lines)
    rows = [_row(entry, title, scale, reported) for entry, title in zip(lines, titles, strict=True)]
    papers = [
        (paper, [(table, [row for _, row in found]) for table, found in groupby(members, lambda one: one[0].table)])
        for paper, members in groupby(zip(lines, rows, strict=True), lambda one: one[0].claim.paper)
    ]
    script = asset("index.js")
    css = asset("base.css") + asset("claims.css").replace("GRIDLINES", gridlines(scale)) + asset("index.css")
    counts = Counter(entry.verdict.word for entry in lines)
    times = {"started_at": [time for workspace in workspaces for time in workspace.columns["started_at"]]}
    return template("index.html.j2").render(
        script_hash=Markup(f"sha256-{_hash(script)}"),  # noqa: S704 -- base64
        script=Markup(script),  # noqa: S704 -- a file of this package
        css=Markup(css),  # noqa: S704 -- files of this package, and numbers
        shapes=SHAPES,
        lead=_lead(lines),
        selects=_selects(lines),
        words=[(word, *SIGNS[word], counts[word]) for word in _WORDS if counts[word]],
        axis=axis(scale),
        papers=papers,
        meanings=[(SIGNS[word][1], meaning) for word, meaning in MEANINGS.items()],
        grids=[_grid(one) for one in sorted(workspaces, key=lambda workspace: not workspace.has_runs)],
        version=__version__,
        made=made(times),
    )


def _hash(script: str) -> str:
    return base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()


def _lead(lines: Sequence[Entry]) -> list[str]:
    """What was asked and what came out, in two paragraphs."""
    published = [entry for entry in lines if entry.claim.kind != "own"]
    own = {entry.claim.id for entry in lines} - {entry.claim.id for entry in published}
    claims = len({entry.claim.id for entry in published})
    papers = len({entry.claim.paper for entry in published})
    ours = f" and {_number(len(own), 'claim')} of this suite’s own" if own else ""
    asked = f"{_number(claims, 'claim')} of {_number(papers, 'paper')}{ours}, and what training runs say about them."
    found = {kind: _outcomes(lines, kind) for kind in ("published", "analogue", "own")}
    told = (
        f"At a paper’s own data and budget: {found['published']}."
        if found["published"]
        else "Nothing has been tested at a paper’s own data and budget yet: no verdict here confirms or contradicts a "
        "paper."
    )
    if found["analogue"]:
        told += f" On stand-ins, with other data, a smaller model or a shorter training run: {found['analogue']}."
    if found["own"]:
        told += f" Of this suite’s own claims: {found['own']}."
    return [asked, f"{told} What isn’t tested is listed too, with the reason or the cost of testing it."]


def _outcomes(lines: Sequence[Entry], kind: str) -> str:
    """The words of the lines of one kind that are tested, with their numbers; empty if none is."""
    words = Counter(entry.verdict.word for entry in lines if entry.claim.kind == kind and not entry.reason)
    return ", ".join(f"{words[word]} {SIGNS[word][1].lower()}" for word in MEANINGS if words[word])


def _number(count: int, name: str) -> str:
    return f"{count} {name}{'' if count == 1 else 's'}"


def _selects(lines: Sequence[Entry]) -> list[tuple[str, str, list[tuple[str, int]]]]:
    """The filters: the key of a row's data, the filter's name, and its values with the number of lines."""
    papers = Counter(entry.claim.paper for entry in lines)
    budgets = Counter(entry.budget for entry in lines)
    axes = Counter(entry.claim.contrast.axis for entry in lines)
    return [
        ("paper", "Paper", list(papers.items())),
        ("budget", "Budget", [(name, budgets[name]) for name in BUDGETS.values() if budgets[name]]),
        ("axis", "What differs", sorted(axes.items())),
    ]


def _titles(lines: Sequence[Entry]) -> list[str]:
    """The name of each claim; where claims of one table and grid share a name, with what sets them apart."""
    groups: dict[tuple[str, str, str], list[int]] = {}
    for place, entry in enumerate(lines):
        groups.setdefault((entry.claim.paper, entry.table, entry.grid), []).append(place)
    titles = [""] * len(lines)
    for places in groups.values():
        for place, name in zip(places, claim_names([lines[one].verdict for one in places]), strict=True):
            titles[place] = name
    return titles


def _row(entry: Entry, title: str, scale: Scale, reported: set[str]) -> dict[str, Any]:
    claim = entry.claim
    link = f"{quote(entry.grid)}/{INDEX}#{quote(claim_anchor(claim.id))}" if entry.grid in reported else ""
    reason = "" if entry.reason == NOT_RUN and entry.cost else entry.reason
    row = claim_row(entry.verdict, title, scale)
    texts = (reason, entry.cost) if entry.reason else (row["lost"],)
    return row | {
        "anchor": f"{entry.grid or 'none'}-{claim.id}",
        "grid": entry.grid,
        "link": link,
        "budget": entry.budget,
        "published_for": claim.published_for if claim.kind == "analogue" else "",
        "date": entry.date,
        "why": "; ".join(text[:1].upper() + text[1:] for text in texts if text),
    }


def _grid(workspace: Workspace) -> Mapping[str, str]:
    grid, ids = workspace.grid, workspace.expansion.ids
    done = sum(trial in ids for trial in workspace.columns["trial_id"])
    days = made(workspace.columns)
    return {
        "name": grid.name,
        "description": grid.file.description,
        "link": f"{quote(grid.name)}/{INDEX}" if workspace.has_runs else "",
        "budget": workspace.budget_note,
        "runs": grid.file.not_runnable or f"{done} of {len(ids)} trials" + (f" · {days}" if days else ""),
        "command": "" if grid.file.not_runnable else workspace.command,
    }
