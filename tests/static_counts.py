"""The published parameter counts, and those of our models: counted once for all tests of a process."""

from __future__ import annotations

from functools import cache

from suite.verdict.claims.model_counts import StaticVerdict, judge_static
from suite.verdict.claims.reader import Claims, read_claim_files
from tests.conftest import REPOSITORY


@cache
def registry() -> list[Claims]:
    """All claim files of the repository."""
    return read_claim_files(sorted((REPOSITORY / "grids" / "claims").glob("*.yaml")))


@cache
def static_counts() -> list[StaticVerdict]:
    """Of all their values that are counts."""
    return judge_static(value for file in registry() for value in file.values.values())
