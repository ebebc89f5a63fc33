"""How `pytest -n 3` distributes the tests over its processes: by file, the longest files first.

The tests of a file stay in one process, since they share fixtures. All files that start Ray stay in one process too:
they share a cluster, and two clusters that start at the same time take longer than one after the other. So do those
that share what `tests.static_counts` has counted.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

import pytest
from xdist.scheduler import LoadScopeScheduling

# Files that take more than five CPU-seconds, the longest first. A file that is begun last leaves all processes but
# one without work. `pytest --durations 50` tells whether the list is still right.
LONGEST = (
    "tests/run/ray/test_interruptions.py",
    "tests/run/ray/test_tune.py",
    "tests/models/test_conformance.py",
    "tests/run/test_interruptions.py",
    "tests/store/test_shared_store.py",
    "tests/store/test_storage.py",
    "tests/models/test_timm_network.py",
    "tests/cli/test_throughput.py",
    "tests/train/test_together.py",
    "tests/train/steps/test_seed_stack.py",
    "tests/models/costs/test_macs.py",
    "tests/models/test_timm_programs.py",
    "tests/train/parallel/test_processes.py",
    "tests/train/test_distillation.py",
    "tests/cli/test_new.py",
    "tests/cli/test_check_methods.py",
    "tests/train/augmentation/test_golden.py",
    "tests/test_imports.py",
    "tests/train/losses/test_learner.py",
    "tests/train/test_trials.py",
    "tests/train/test_snapshot.py",
    "tests/cli/test_run_weights.py",
    "tests/cli/test_bench.py",
    "tests/models/test_timm_conformance.py",
    "tests/models/weights/test_description.py",
    "tests/train/steps/test_micro_batches.py",
    "tests/cli/test_main.py",
    "tests/cli/test_run.py",
    "tests/models/test_timm_join.py",
    "tests/verdict/stats/test_sequential.py",
    "tests/test_docs.py",
    "tests/data/test_reading.py",
)


class ByFile(LoadScopeScheduling):
    """Gives a process all tests of a file, or of all files that share something, in the order of collection."""

    def __init__(self, config: pytest.Config, *arguments: object) -> None:
        super().__init__(config, *arguments)
        config.option.loadscopereorder = False  # xdist would begin with the files that have the most tests
        self._root = config.rootpath

    def _split_scope(self, nodeid: str) -> str:
        file = _file(nodeid)
        return _shared(self._root / file) or file


@cache
def _shared(path: Path) -> str | None:
    """What a file's tests share with those of other files."""
    text = path.read_text(encoding="utf-8")
    return next((what for what in ("pytest.mark.ray", "tests.static_counts") if what in text), None)


def _file(nodeid: str) -> str:
    return nodeid.partition("::")[0]


def longest_first(items: list[pytest.Item]) -> None:
    """Sort tests: those of the longest files first, the others as they were."""
    rank = {file: index for index, file in enumerate(LONGEST)}
    items.sort(key=lambda item: rank.get(_file(item.nodeid), len(rank)))
