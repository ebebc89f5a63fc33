"""Whether the packages of the extra `figures` are installed. Without them a report has its tables and verdicts only."""

from __future__ import annotations

from importlib.util import find_spec

PACKAGES = ("matplotlib", "pandas", "pyarrow")  # to draw, and to read history.parquet


def missing_packages() -> list[str]:
    """The packages that figures need and that aren't installed."""
    return [name for name in PACKAGES if find_spec(name) is None]


def left_out() -> str:
    """A sentence on what is left out because of `missing_packages`, and on what to do."""
    missing = missing_packages()
    verb = "isn’t" if len(missing) == 1 else "aren’t"
    return (
        f"Figures, and what is read from the training curves, are left out: {', '.join(missing)} {verb} installed "
        "(pip install 'lape-suite[figures]')."
    )
