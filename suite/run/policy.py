"""What is done about failures: what is tried again and when, what is stopped, what is left out."""

from __future__ import annotations

import random
from dataclasses import dataclass

LONGEST_WAIT = 1800.0  # seconds: an outage of hours is asked about twice an hour
OVERTIME = 600.0  # seconds that a worker may be late, with setting up and testing, before it counts as hung


@dataclass(frozen=True)
class Policy:
    """How a run deals with failures.

    Args:
        retries: How often a trial is tried again after an infrastructure error; failures of the trial are outcomes.
        first_wait: Seconds before the first retry. Each following wait is twice as long, up to `LONGEST_WAIT`, and up
            to a quarter shorter or longer by chance, so that what failed together isn't retried together.
        cell_failures: A cell is stopped when that many of its seeds have failed and none is done; 0: never.
        time_limit: Seconds of training per trial. Training checks it; a worker that is far over it is killed.
        overtime: See `OVERTIME`.
    """

    retries: int = 3
    first_wait: float = 10.0
    cell_failures: int = 3
    time_limit: float | None = None
    overtime: float = OVERTIME

    def wait(self, attempts: int, chance: random.Random) -> float:
        """Seconds to wait after so many attempts (at least one) that failed from infrastructure errors."""
        doubled = min(self.first_wait * 2.0 ** min(attempts - 1, 60), LONGEST_WAIT)
        return doubled * chance.uniform(0.75, 1.25)

    def hung_after(self, trials: int) -> float | None:
        """Seconds after which a worker that trains so many trials is killed, if ever: memory may need two attempts."""
        return None if self.time_limit is None else 2 * trials * self.time_limit + self.overtime

    def stops_cell(self, failed: int, done: int) -> bool:
        """Whether a cell of which so many seeds have failed and are done is given up."""
        return not done and 0 < self.cell_failures <= failed
