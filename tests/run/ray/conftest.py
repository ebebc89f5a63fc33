"""One Ray cluster for all tests of a process, and trials to run on it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from suite.grid.grid import load_grid
from suite.grid.trial import Trial
from tests.run.ray.cluster import start_cluster

Write = Callable[..., Path]


@pytest.fixture(scope="session")
def address() -> Iterator[str]:
    """The address of a cluster that tests share."""
    cluster = start_cluster()
    yield str(cluster.address)
    cluster.shutdown()


@pytest.fixture
def trials(write_grid: Write) -> list[Trial]:
    return list(load_grid(write_grid()).expand().trials)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the tests that share a cluster before those that start one of their own in this process.

    Ray can't reach a cluster from a process that has ended another one in between.
    """
    here = [place for place, item in enumerate(items) if item.path.parent == Path(__file__).parent]
    first = sorted(
        (items[place] for place in here), key=lambda item: "address" not in getattr(item, "fixturenames", ())
    )
    for place, item in zip(here, first, strict=True):
        items[place] = item
