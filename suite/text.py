"""What is said to people: numbers as they say them, notes, and any sign in any encoding."""

from __future__ import annotations

import csv
import io
import math
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

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


def points(value: float, digits: int = 2) -> str:
    """A gain with its sign, for people: +0.31, −0.05, 0.00; a dash for NaN."""
    if math.isnan(value):
        return "–"
    text = f"{value:+.{digits}f}".replace("-", "−")
    return text if text.strip("+−0.") else text[1:]


def interval(low: float, high: float) -> str:
    """The ends of an interval of gains: [+0.08, +2.80]."""
    return f"[{points(low)}, {points(high)}]"


def p_value(p: float) -> str:
    """A p-value: 0.0312; < 0.0001; a dash for NaN."""
    return "–" if math.isnan(p) else "< 0.0001" if p < 1e-4 else f"{p:.4f}"


def csv_text(records: Iterable[Mapping[str, Any]], fields: Sequence[str]) -> str:
    """CSV with a header line. Numbers have up to ten digits; None and NaN are empty.

    A text that a spreadsheet would run as a formula gets an apostrophe before it, as spreadsheets expect.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(fields)
    writer.writerows([_csv_cell(record[field]) for field in fields] for record in records)
    return text.getvalue()


def _csv_cell(value: Any) -> Any:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    if isinstance(value, float):
        return f"{value:.10g}"
    if isinstance(value, str) and value.startswith(("=", "+", "-", "@", "\t", "\r")) and not _is_number(value):
        return f"'{value}"
    return value


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def seed_list(seeds: Iterable[int]) -> str:
    """Seed 3; seeds 1, 2, 3."""
    listed = [str(seed) for seed in sorted(seeds)]
    return f"seed{'s' if len(listed) > 1 else ''} {', '.join(listed)}"


def pair_count(n: int) -> str:
    """No pairs; 1 pair; 3 pairs."""
    return "no pairs" if n == 0 else "1 pair" if n == 1 else f"{n} pairs"
