"""What a grid's corrupted copies of test images take on disk."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from suite.data.cache import open_root
from suite.data.corruptions.stored import CopiesOf
from suite.errors import InputError
from suite.run.prepared import needed

if TYPE_CHECKING:
    from suite.report.workspace import Workspace


def corrupted_copies(workspace: Workspace) -> list[CopiesOf]:
    """The corrupted copies that the grid's trials are tested on, each set once."""
    root = open_root()
    return [CopiesOf(*one, root) for one in needed(workspace.expansion.trials, root).corrupted]


def corruption_lines(workspace: Workspace) -> Iterator[str]:
    """A line for each set of corrupted copies: its size, and how much of it is to be made."""
    for one in corrupted_copies(workspace):
        try:
            lacking = len(one.missing())
            made = f", {lacking} to be made" if lacking else ", all there"
        except InputError as error:  # a plan is no place to stop for it: the run says the whole message
            made = f"; {error.problems[0].what}"
        yield (
            f"{one.settings.copies} corrupted copies of {one.images:,} test images of {one.dataset.name}: "
            f"{one.bytes_of_all / 1e6:,.1f} MB{made}"
        )
