"""Numbers as people say them."""

from __future__ import annotations


def duration(seconds: float) -> str:
    """45 s, 3 min 20 s, 5 h 10 min, 12 d 4 h."""
    seconds = round(seconds)
    for unit, size, smaller, part in (("d", 86400, "h", 3600), ("h", 3600, "min", 60), ("min", 60, "s", 1)):
        if seconds >= size:
            rest = seconds % size // part
            return f"{seconds // size} {unit}" + (f" {rest} {smaller}" if rest else "")
    return f"{seconds} s"
