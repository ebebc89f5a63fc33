"""Text for people and their programs: numbers, notes, CSV, lines of progress, and what a terminal may be sent."""

from __future__ import annotations

import csv
import io
import math
import os
import re
import sys
import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Any, Self, TextIO

_PLAIN = {"−": "-", "–": "-", "—": "-", "×": "x", "±": "+-", "…": "...", "’": "'", "·": "|", "→": "->"}
_NONE = "–"  # for a number that is missing
# Control characters but newline and tab, marks that change the direction of text, and halves of surrogate pairs.
_UNSAFE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff\ufeff]")
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")  # spreadsheets read the full-width ones, too
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")


def plain(error: UnicodeError) -> tuple[str, int]:
    """For `codecs.register_error`: what an encoding lacks, in ASCII. A minus sign must not become a question mark."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return "".join(_PLAIN.get(character, "?") for character in error.object[error.start : error.end]), error.end


def printable(text: str) -> str:
    r"""The text with each character that could steer a terminal or reorder a line written as an escape, as \u001b."""
    return _UNSAFE.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def encodable(text: str) -> str:
    r"""The text with each half of a surrogate pair written as an escape, as \udcff: UTF-8 has none.

    Python puts them in a path or an argument for bytes that aren't UTF-8.
    """
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def say(text: str, end: str = "\n") -> None:
    """Print to standard output, without characters that steer a terminal."""
    print(printable(text), end=end, flush=True)


def note(text: str) -> None:
    """Print a note to standard error: something to know beside the output of a command."""
    complain(f"note: {text}")


def complain(text: str) -> None:
    """Print to standard error, without characters that steer a terminal.

    Where it can't be written, the text is lost: that changes neither what a command does nor its exit code.
    """
    if sys.stderr is None:  # print would take standard output instead
        return
    try:
        print(printable(text), file=sys.stderr, flush=True)
    except OSError:
        with suppress(OSError):  # Python would write the rest at exit, and end with 120
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stderr.fileno())


def csv_text(
    rows: Iterable[Mapping[Any, object]], columns: Sequence[str] | None = None, digits: int | None = None
) -> str:
    """Rows as CSV with a header line. All CSV of the suite is written here.

    A text that a spreadsheet would take for a formula gets an apostrophe in front of it.

    Args:
        rows: one mapping per line.
        columns: the names and order of the columns; by default those of the first row.
        digits: significant digits of floats; by default all of them.
    """
    rows = list(rows)
    names = list(columns if columns is not None else rows[0] if rows else ())
    target = io.StringIO()
    writer = csv.writer(target, lineterminator="\n")
    writer.writerow([_cell(name, None) for name in names])
    writer.writerows([_cell(row.get(name), digits) for name in names] for row in rows)
    return target.getvalue() if names else ""


def _cell(value: object, digits: int | None) -> object:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    if isinstance(value, float):
        return value if digits is None else f"{value:.{digits}g}"
    if not isinstance(value, str):
        return value
    formula = value.startswith(_FORMULA) or value.lstrip().startswith(_FORMULA)
    return printable(f"'{value}" if formula and not _NUMBER.fullmatch(value) else value)


def duration(seconds: float) -> str:
    """45 s, 3 min 20 s, 5 h 10 min, 12 d 4 h."""
    seconds = round(seconds)
    for unit, size, smaller, part in (("d", 86400, "h", 3600), ("h", 3600, "min", 60), ("min", 60, "s", 1)):
        if seconds >= size:
            rest = seconds % size // part
            return f"{seconds // size} {unit}" + (f" {rest} {smaller}" if rest else "")
    return f"{seconds} s"


def precise_duration(seconds: float) -> str:
    """As `duration`, but 0.35 s and 2.4 s: where times that may be small are compared."""
    if seconds < 0.995:
        return f"{seconds:.2f} s"
    return f"{seconds:.1f} s" if seconds < 9.95 else duration(seconds)


def counted(number: int, one: str, many: str = "") -> str:
    """1 trial; 3 trials. many: the plural, if it isn't `one` with an s."""
    return f"{number} {one if number == 1 else many or one + 's'}"


def signed(value: float, digits: int = 2) -> str:
    """A number with its sign and so many decimals, as +0.31 and −0.05; zero has no sign, NaN is a dash."""
    if math.isnan(value):
        return _NONE
    text = f"{value:+.{digits}f}".replace("-", "−")
    return text[1:] if float(text[1:]) == 0 else text


def points(value: float) -> str:
    """A gain in percentage points: +0.31, −0.05, 0.00; a dash for NaN."""
    return signed(value)


def interval(low: float, high: float) -> str:
    """An interval of gains in percentage points: [−0.05, +0.31]; a dash if an end is NaN."""
    return _NONE if math.isnan(low) or math.isnan(high) else f"[{points(low)}, {points(high)}]"


def p_value(value: float) -> str:
    """0.0432; < 0.0001, which is the smallest level that a claim may have; a dash for NaN."""
    return _NONE if math.isnan(value) else "< 0.0001" if value < 1e-4 else f"{value:.4f}"


def seed_list(seeds: Iterable[int]) -> str:
    """Seed 3; seeds 1, 2, 3."""
    listed = [str(seed) for seed in sorted(seeds)]
    return f"seed{'s' if len(listed) > 1 else ''} {', '.join(listed)}"


def pair_count(n: int) -> str:
    """No pairs; 1 pair; 3 pairs."""
    return "no pairs" if n == 0 else "1 pair" if n == 1 else f"{n} pairs"


PROGRESS_SECONDS = 20.0  # from one line of progress to the next


class Progress:
    """Lines on standard error that say how far a long command is, and what is left.

    A thread prints them, so that a line comes every `PROGRESS_SECONDS` however long one step takes. A command that ends
    sooner prints none.

        with Progress("reading images", total=len(paths), unit="images") as progress:
            for path in paths:
                read(path)
                progress.advance()
    """

    def __init__(
        self,
        what: str,
        total: float | None = None,
        unit: str = "",
        *,
        interval: float = 0,
        stream: TextIO | None = None,
    ) -> None:
        """Nothing is printed before the `with` block begins.

        Args:
            what: what the command does, such as "reading images".
            total: the number of units; None if it isn't known.
            unit: what is counted, in the plural, such as "images"; "" if nothing is.
            interval: seconds from one line to the next; by default `PROGRESS_SECONDS`.
            stream: where lines go; standard error by default.
        """
        self._what, self._interval, self._stream = what, interval or PROGRESS_SECONDS, stream
        self.phase("", total, unit)
        self._finished = threading.Event()
        self._thread = threading.Thread(target=self._print_lines, name="progress", daemon=True)

    def __enter__(self) -> Self:
        self._began = time.monotonic()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._finished.set()
        self._thread.join()

    def phase(self, name: str, total: float | None = None, unit: str = "images") -> None:
        """The next part of the work begins: counting starts again. name: of the part, such as "decoding"."""
        self._phase, self._total, self._unit = name, total, unit
        self._done, self._doing = 0.0, ""
        self._began = time.monotonic()

    def advance(self, amount: float = 1.0, doing: str | None = None) -> None:
        """Count units that are done; `doing` names what comes next."""
        self._done += amount
        if doing is not None:
            self._doing = doing

    @property
    def line(self) -> str:
        """The line as of now: `reading images: 300 of 1000 images, 30 s so far, about 1 min 10 s left`."""
        seconds, done, total = time.monotonic() - self._began, self._done, self._total
        count = f"{done:.0f} {self._unit}" if total is None else f"{done:.0f} of {total:.0f} {self._unit}"
        counted = total is not None or done > 0
        parts = [part for part in (self._phase, count if counted else "", self._doing) if part]
        parts.append(f"{duration(seconds)} so far")
        if total is not None and done > 0:
            parts.append(f"about {duration(seconds / done * max(0.0, total - done))} left")
        return f"{self._what}: {', '.join(parts)}"

    def _print_lines(self) -> None:
        while not self._finished.wait(self._interval):
            print(self.line, file=self._stream or sys.stderr, flush=True)
