from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest

from suite.report.index.entries import Entry, entries
from suite.report.index.page import write_index
from suite.report.workspace import Workspace, open_workspace
from suite.verdict.claims.reader import ClaimReader
from suite.verdict.verdicts import judge
from tests.conftest import REPOSITORY
from tests.frames import frame_of, paired_rows
from tests.verdict.test_verdicts import claim

GRIDS = ("cifar_subset", "table2", "table2_budget", "table8_budget", "l2bn", "diversepatch_imagenet")


@dataclass
class Index:
    """The page of some of the suite's grids, with what it was made of."""

    workspaces: list[Workspace]
    lines: list[Entry]
    page: Path


@pytest.fixture(scope="package")
def index(tmp_path_factory: pytest.TempPathFactory) -> Index:
    folder = tmp_path_factory.mktemp("index")
    reader = ClaimReader()
    workspaces = [open_workspace(name, (), None, REPOSITORY / "results", folder, reader=reader) for name in GRIDS]
    lines = entries(workspaces)
    return Index(workspaces, lines, write_index(lines, workspaces, folder))


def made_up(count: int, pairs: int, **values: str) -> list[Entry]:
    """So many lines of as many claims, with so many pairs each. values: texts of the claims."""
    random = np.random.default_rng(0)
    found = []
    for number in range(min(count, 10)):
        gains = [round(float(gain), 2) for gain in random.normal(number - 4, 1, pairs)]
        (verdict,) = judge(frame_of(paired_rows(gains, base=60.0)), [claim(**values)])
        found.append(verdict)
    lines = []
    for number in range(count):
        verdict = found[number % len(found)]
        named = {"id": f"claim-{number}", "paper": values.get("paper", f"paper {number % 7}")}
        one = replace(verdict, claim=verdict.claim.model_copy(update=named))
        lines.append(Entry(one, f"grid-{number % 20}", "2026-11-20", "", "", True, number))
    return sorted(lines, key=lambda entry: entry.claim.paper)
