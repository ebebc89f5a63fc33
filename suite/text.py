"""What is said to people: numbers as they say them, notes, and any sign in any encoding."""

from __future__ import annotations

import math
import sys
from collections.abc import Iterable

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
