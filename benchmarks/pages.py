"""The size of the report pages of 2,000 runs and 200 claims, the cost of drawing them, and the delay of a filter."""

from __future__ import annotations

import math
import random
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from itertools import product
from pathlib import Path

import pandas as pd

from benchmarks.grids import expand, record, write_grid
from benchmarks.rows import Row
from suite.report.index.entries import Entry
from suite.report.index.page import render_index
from suite.report.page import render
from suite.report.remarks import GridSummary
from suite.store.frames import to_columns
from suite.store.record import RunRecord
from suite.verdict.claims.claim import Claim
from suite.verdict.verdicts import Verdict, judge

RUNS, CLAIMS = 2_000, 200
_FILTER = """
(() => {
  const times = [];
  for (const text of ["lape", "cvt", "cvt 3", "nothing", ""]) {
    const search = document.getElementById("search"), began = performance.now();
    search.value = text;
    search.dispatchEvent(new Event("input", {bubbles: true}));
    document.body.getBoundingClientRect();  // the layout, too
    times.push(performance.now() - began);
  }
  return Math.max(...times);
})()
"""


def pages() -> list[Row]:
    """Draw the page of all claims and a grid's report, of 2,000 runs and 200 claims, and filter in Chromium."""
    with tempfile.TemporaryDirectory() as name:
        folder, rng = Path(name), random.Random(0)
        path = write_grid(folder, RUNS)
        records = {trial.id: record(trial, rng) for trial in expand(folder, RUNS).trials}
        columns = to_columns(records.values())
        verdicts = judge(columns, _claims())[:CLAIMS]
        index, seconds = _index(verdicts)
        (folder / "index.html").write_text(index, encoding="utf-8")
        history = _history(records)
        began = time.process_time()
        summary = GridSummary("bench", "", RUNS, RUNS, 0, 0, tuple(range(20)), {}, f"lape run {path.stem}")
        report = render(summary, columns, history, verdicts, folder / "bench", records=records)
        return [
            Row("page of 200 claims, drawn", seconds, 5.0),
            Row("page of 200 claims", len(index.encode()) / 1e6, 2.0, unit=" MB"),
            Row("report of 2,000 runs and 200 claims, with figures, drawn", time.process_time() - began, 5.0),
            Row("report of 2,000 runs and 200 claims, with figures", report.stat().st_size / 1e6, 2.0, unit=" MB"),
            Row("lape report --all on the committed results, CPU time", _all_reports(folder / "all"), 5.0),
            Row("a filter of 200 claims in Chromium, slowest of 5", _filter(folder / "index.html"), 100, unit=" ms"),
        ]


def _history(records: Mapping[str, RunRecord]) -> pd.DataFrame:
    """Thirty tested epochs of each run."""
    rng = random.Random(1)
    rows = [
        {"trial_id": trial, "epoch": epoch, "top1": 90 - 60 * math.exp(-epoch / 8) + rng.random(), "similarity": None}
        for trial in records
        for epoch in range(30)
    ]
    return pd.DataFrame(rows)


def _claims() -> list[Claim]:
    architectures = [f"{family}_{size}_4" for family in ("vit_lite", "cvt") for size in (2, 4, 6, 7)]
    joins = ("shared", "unshared", "lape_shared", "lape")
    return [
        Claim.model_validate(
            {
                "id": f"claim-{number}", "paper": f"paper {number % 8}", "version": "1", "table": str(number % 5),
                "row": f"{arch}, {join} over default, {dataset}, {number}", "kind": "published",
                "contrast": {"axis": "join", "baseline": "default", "treatment": join,
                             "match": {"arch": arch, "dataset": dataset}},
                "claimed_gain": gain, "margin": gain / 2,
            }
        )
        for number, (arch, join, dataset, gain) in enumerate(
            product(architectures, joins, ("cifar10", "cifar100"), (0.2, 0.6, 1.2, 2.4))
        )
    ]  # fmt: skip


def _index(verdicts: list[Verdict]) -> tuple[str, float]:
    began = time.process_time()
    lines = [Entry(one, "bench", "2026-01-01", "", "", True, place) for place, one in enumerate(verdicts)]
    return render_index(lines, ()), time.process_time() - began


def _all_reports(folder: Path) -> float:
    """The CPU-seconds of a second call, which finds its drawings in the cache."""
    spent = []
    for _ in range(2):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run([sys.executable, "-m", "suite", "report", "--all", "--reports", str(folder)],
                       check=True, capture_output=True)  # fmt: skip
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        spent.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    return spent[-1]


def _filter(page: Path) -> float:
    from tests.browser import Browser

    with Browser() as browser:
        browser.open(page)
        return float(browser.run(_FILTER))
