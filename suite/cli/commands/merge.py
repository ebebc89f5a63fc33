"""`lape merge`: merges the results of several machines."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from suite.cli.commands.console import open_console
from suite.errors import InputError
from suite.store.merge import Joined, merge


def print_merge(folders: Sequence[Path]) -> None:
    """Merge all folders but the last into the last one, and print how many runs each contributed.

    Raises:
        InputError: there are fewer than two folders, or their runs contradict each other.
    """
    if len(folders) < 2:
        raise InputError(
            "nothing to merge",
            expected="one source or more, and a destination",
            found=", ".join(map(str, folders)) or "nothing",
            where="lape merge",
            fix="for instance `lape merge cluster-a/results cluster-b/results results`",
        )
    console = open_console()
    *sources, destination = folders
    for joined in merge(sources, destination):
        for line in (_told(joined), *_notes(joined)):
            console.print(line, highlight=False, markup=False, soft_wrap=True)


def _told(joined: Joined) -> str:
    parts = [f"{joined.there} were there"]
    parts += [f"{count} new from {source}" for source, count in joined.added.items()]
    parts += [f"{count} in place of failures from {source}" for source, count in joined.replaced.items()]
    parts += [f"weights of {joined.weights}"] if joined.weights else []
    parts += [f"{joined.methods} method file{'s' if joined.methods > 1 else ''}"] if joined.methods else []
    return f"{joined.folder}: {joined.total} runs; {', '.join(parts)}"


def _notes(joined: Joined) -> Iterator[str]:
    """A line for each grid whose runs came into a folder that has no trial of it: it may have been named by mistake."""
    for (source, grid), count in joined.strange.items():
        yield (
            f"note: {count} run{'s' if count > 1 else ''} of the grid {grid} from {source} came into {joined.folder}, "
            "which had no run and no trial of that grid; a grid ignores runs of trials that it doesn't have; "
            "to keep grids apart, merge each into a folder of its own"
        )
