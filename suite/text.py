"""Text for people: numbers as they are written, notes, lines of progress, and characters that an encoding lacks."""

from __future__ import annotations

import math
import sys
import threading
import time
from collections.abc import Iterable
from typing import Self, TextIO

_PLAIN = {"−": "-", "–": "-", "—": "-", "×": "x", "±": "+-", "…": "...", "’": "'", "·": "|", "→": "->"}


def plain(error: UnicodeError) -> tuple[str, int]:
    """For `codecs.register_error`: what an encoding lacks, in ASCII. A minus sign must not become a question mark."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return "".join(_PLAIN.get(character, "?") for character in error.object[error.start : error.end]), error.end


def duration(seconds: float) -> str:
    """45 s, 3 min 20 s, 5 h 10 min, 12 d 4 h."""
    seconds = round(seconds)
    for unit, size, smaller, part in (("d", 86400, "h", 3600), ("h", 3600, "min", 60), ("min", 60, "s", 1)):
        if seconds >= size:
            rest = seconds % size // part
            return f"{seconds // size} {unit}" + (f" {rest} {smaller}" if rest else "")
    return f"{seconds} s"


def note(text: str) -> None:
    """Say something beside the output of a command, on standard error."""
    print(f"note: {text}", file=sys.stderr)


def points(value: float) -> str:
    """A gain with its sign, for people: +0.31, −0.05, 0.00; a dash for NaN."""
    if math.isnan(value):
        return "–"
    text = f"{value:+.2f}".replace("-", "−")
    return text[1:] if text[1:] == "0.00" else text


def seed_list(seeds: Iterable[int]) -> str:
    """Seed 3; seeds 1, 2, 3."""
    listed = [str(seed) for seed in sorted(seeds)]
    return f"seed{'s' if len(listed) > 1 else ''} {', '.join(listed)}"


def pair_count(n: int) -> str:
    """No pairs; 1 pair; 3 pairs."""
    return "no pairs" if n == 0 else "1 pair" if n == 1 else f"{n} pairs"


class Progress:
    """Lines on standard error that say how far a long command is, and what is left.

    A thread prints them, so that a line comes every `interval` seconds however long one step takes. A command that ends
    sooner prints none.

        with Progress("reading images", total=len(paths), unit="images") as progress:
            for path in paths:
                read(path)
                progress.advance()
    """

    def __init__(
        self, what: str, total: float | None, unit: str, *, interval: float = 20.0, stream: TextIO | None = None
    ) -> None:
        """Nothing is printed before the `with` block begins.

        Args:
            what: what the command does, such as "reading images".
            total: the number of units; None if it isn't known.
            unit: what is counted, in the plural, such as "images".
            interval: seconds from one line to the next.
            stream: where lines go; standard error by default.
        """
        self._what, self._total, self._unit, self._interval, self._stream = what, total, unit, interval, stream
        self._done, self._doing = 0.0, ""
        self._finished = threading.Event()
        self._thread = threading.Thread(target=self._print_lines, daemon=True)
        self._began = time.monotonic()

    def __enter__(self) -> Self:
        self._began = time.monotonic()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._finished.set()
        self._thread.join()

    def advance(self, amount: float = 1.0, doing: str | None = None) -> None:
        """Count units that are done; `doing` names what comes next."""
        self._done += amount
        if doing is not None:
            self._doing = doing

    @property
    def line(self) -> str:
        """The line as of now: `reading images: 300 of 1000 images, 30 s so far, about 1 min 10 s left`."""
        seconds, done, total = time.monotonic() - self._began, self._done, self._total
        count = f"{done:.0f}" if total is None else f"{done:.0f} of {total:.0f}"
        parts = [f"{self._what}: {count} {self._unit}", *([self._doing] if self._doing else [])]
        parts.append(f"{duration(seconds)} so far")
        if total is not None and done > 0:
            parts.append(f"about {duration(seconds / done * max(0.0, total - done))} left")
        return ", ".join(parts)

    def _print_lines(self) -> None:
        while not self._finished.wait(self._interval):
            print(self.line, file=self._stream or sys.stderr, flush=True)
