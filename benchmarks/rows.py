"""The result of a benchmark: a number and its bounds."""

from __future__ import annotations

from typing import NamedTuple


class Row(NamedTuple):
    """A measured value and its bounds. Times are in seconds; shares have no unit."""

    what: str
    found: float
    most: float
    least: float = 0.0
    unit: str = " s"

    @property
    def kept(self) -> bool:
        """Whether the value is within its bounds."""
        return self.least <= self.found <= self.most

    def __str__(self) -> str:
        bounds = f"at most {self.most:g}" if self.least == 0 else f"from {self.least:g} to {self.most:g}"
        told = "" if self.kept else "   OUT OF BOUNDS"
        return f"{self.what:<64} {self.found:8.3f}{self.unit}   ({bounds}{self.unit}){told}"
