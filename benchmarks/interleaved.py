"""Times several sides in turn, so that other programs on the machine disturb their ratios little."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping


def interleaved(
    sides: Mapping[str, Callable[[], object]], rounds: int, clock: Callable[[], float] = time.perf_counter
) -> dict[str, list[float]]:
    """Time each side once per round, in an order that is reversed every round. A first round is a warm-up.

    Args:
        sides: what is timed, by name.
        rounds: the rounds that count.
        clock: gives the time in seconds, such as that of this process alone.

    Returns:
        The seconds of each round, by side.
    """
    taken: dict[str, list[float]] = {side: [] for side in sides}
    for number in range(rounds + 1):
        for side in list(sides)[:: 1 if number % 2 else -1]:
            began = clock()
            sides[side]()
            if number:
                taken[side].append(clock() - began)
    return taken
