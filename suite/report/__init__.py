"""The output of a grid: tables, figures and the HTML report. This package doesn't import torch."""

from __future__ import annotations

from typing import TYPE_CHECKING

from suite.faces import lazy

if TYPE_CHECKING:
    from suite.report.page import render as render
    from suite.report.tables.summary import write_tables as write_tables
    from suite.report.workspace import Workspace as Workspace

__getattr__ = lazy(
    __name__,
    {
        "Workspace": "workspace",
        "render": "page",
        "write_tables": "tables.summary",
    },
)
