"""Measures the figures of docs/cluster.md: `python -m benchmarks.cluster [faults] [scale] [tables]`.

`faults` runs the fault-injection tests in tests/faults (about 15 minutes) and keeps their results. `scale` runs 10,000
empty trials. Both write docs/cluster.json, from which the page's tables are made.
"""

from __future__ import annotations

import argparse
import ast
import json
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from benchmarks import scale
from benchmarks.documents import add_parts, chosen_parts, fill, markdown, read_figures, write_figures
from suite.store.environment import describe
from tests.faults.evidence import VARIABLE

DOCUMENT, FIGURES = Path("docs/cluster.md"), Path("docs/cluster.json")
FAULTS = [sys.executable, "-m", "pytest", "tests/faults", "-m", "slow", "-q", "-p", "no:cacheprovider"]
Figures = dict[str, dict[str, Any]]


def machine() -> dict[str, Any]:
    """Return the machine, the versions and the date of a measurement."""
    import ray

    here = describe("", "cpu", "fp32", 1)
    return {
        "processor": here.processor,
        "cores": os.cpu_count(),
        "memory_gb": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9),
        "python": here.python,
        "ray": ray.__version__,
        "load_before": round(os.getloadavg()[0], 1),
    }


def faults() -> dict[str, Any]:
    """Run the fault-injection tests, and return the table rows that they report."""
    file = FIGURES.with_name("faults.tmp.json").resolve()
    try:
        subprocess.run(FAULTS, check=True, env={**os.environ, VARIABLE: str(file), "OMP_NUM_THREADS": "1"})
        rows: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    finally:
        file.unlink(missing_ok=True)
    return rows


PARTS: dict[str, Callable[[], dict[str, Any]]] = {"faults": faults, "scale": scale.measure}


def tables(figures: Figures) -> dict[str, str]:
    """Return the tables of docs/cluster.md, by name."""
    makers = {"faults": _faults, "scale": _scale}
    return {name: makers[name](told) for name, told in figures.items()}


def _faults(told: dict[str, Any]) -> str:
    lines = [
        [
            row["fault"],
            row["answer"],
            _shown(row),
            "–" if row["seconds"] is None else f"{row['seconds']:.0f} s",
            _name(test),
        ]
        for test, row in told["found"].items()
    ]
    heads = ["fault", "what is done about it", "what the test showed", "trained further after", "test"]
    parts = [markdown(heads, lines, ":--")]
    if missing := [_name(test) for test in fault_tests() if test not in told["found"]]:
        parts.append(f"Tests that were not run to their end here yet: {', '.join(missing)}.")
    return "\n\n".join([*parts, _where(told["machine"])])


def fault_tests() -> list[str]:
    """Return the fault-injection tests by their pytest ids, in pytest's order."""
    found = []
    for path in sorted(Path("tests/faults").glob("test_*.py")):
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.FunctionDef) and any(argument.arg == "tell" for argument in node.args.args):
                found.append(f"{path}::{node.name}")
    return found


def _shown(row: dict[str, Any]) -> str:
    parts = [f"{row['trials']} of {row['trials']} records, each once, all as in the unbroken run"]
    if row["kept"]:
        parts.append(f"{row['kept']} had been stored before, and kept")
    if row["went_on"]:
        parts.append(f"{row['went_on']} went on from a snapshot")
    return "; ".join(parts)


def _name(test: str) -> str:
    file, _, function = test.partition("::")
    return f"[{function.removeprefix('test_').replace('_', ' ')}](../{file})"


def _scale(told: dict[str, Any]) -> str:
    lines = [
        [row.what, f"{row.found:,.3g}{row.unit}", f"{row.most:,g}{row.unit}", "met" if row.kept else "**missed**"]
        for row in scale.rows(told["found"])
    ]
    return f"{markdown(['what', 'measured', 'at most', ''], lines, ':--')}\n\n{_where(told['machine'])}"


def _where(machine: dict[str, Any]) -> str:
    load = f"at a load of {machine['load_before']:g} before it began" if "load_before" in machine else "busy meanwhile"
    return (
        f"{machine['cores']} cores of {machine['processor']}, {machine['memory_gb']} GB; Python {machine['python']}, "
        f"Ray {machine['ray']}; {load}."
    )


def main(names: Sequence[str]) -> None:
    """Measure the named parts, and make the tables of all parts."""
    figures = read_figures(FIGURES)
    for name in names:
        where = machine()
        figures[name] = {"machine": where, "found": PARTS[name]()}
        write_figures(FIGURES, figures)
    fill(DOCUMENT, tables(figures))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Measure what docs/cluster.md tells, and fill its tables.")
    add_parts(parser, PARTS)
    main(chosen_parts(parser.parse_args().names, PARTS))
