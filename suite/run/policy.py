"""How failures are handled: what is retried and when, what is killed, and what is skipped."""

from __future__ import annotations

import random
from dataclasses import dataclass

LONGEST_WAIT = 1800.0  # seconds: during a long outage, two retries per hour
OVERTIME = 600.0  # extra seconds, for setup and tests, until a worker over its time limit counts as hung


@dataclass(frozen=True)
class Policy:
    """How a run deals with failures.

    Args:
        retries: How often a trial is retried after infrastructure errors. Failures of the trial itself are outcomes
            and are not retried.
        first_wait: Seconds before the first retry. Each later wait is twice as long, up to `LONGEST_WAIT`. A random
            change of up to a quarter keeps trials that failed together from being retried together.
        cell_failures: A cell is stopped if this many of its seeds have failed and none is done; 0: never.
        time_limit: Seconds of training per trial; None: no limit. The training loop checks it. A worker that exceeds
            it by far is killed.
        overtime: See `OVERTIME`.
    """

    retries: int = 3
    first_wait: float = 10.0
    cell_failures: int = 3
    time_limit: float | None = None
    overtime: float = OVERTIME

    def wait(self, attempts: int, chance: random.Random) -> float:
        """Seconds to wait before the next attempt, after `attempts` (at least 1) infrastructure errors."""
        doubled = min(self.first_wait * 2.0 ** min(attempts - 1, 60), LONGEST_WAIT)
        return doubled * chance.uniform(0.75, 1.25)

    def hung_after(self, trials: int) -> float | None:
        """Seconds after which a worker with a job of `trials` trials is killed; None: never.

        The limit is doubled, because a trial that runs out of memory is retried in the same worker.
        """
        return None if self.time_limit is None else 2 * trials * self.time_limit + self.overtime

    def stops_cell(self, failed: int, done: int) -> bool:
        """Whether a cell with these numbers of failed and done seeds is stopped."""
        return not done and 0 < self.cell_failures <= failed
