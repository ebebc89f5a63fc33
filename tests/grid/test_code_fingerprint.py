from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from suite.grid.code_fingerprint import code_fingerprint, file_fingerprint
from suite.models.joins import JOINS

METHOD = '''
"""A trick."""
from torch import nn

SCALE = 0.5

def helper(x):
    return x * SCALE

def trick(tables, maps):
    """Half of it."""
    return [helper(tables[0])] * len(maps)

def other(tables, maps):
    return tables
'''


def fingerprint(folder: Path, text: str, name: str = "trick") -> str:
    path = folder / "method.py"
    path.write_text(text)
    return file_fingerprint(path, name)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("Half of it.", "Another docstring."),
        ('    """Half of it."""\n', ""),
        ("SCALE = 0.5", "SCALE = 0.5  # a comment"),
        ("[helper(tables[0])] * len(maps)", "(\n        [helper(tables[0])]\n        * len(maps)\n    )"),
        ("return tables\n", "return maps\n"),  # of `other`, which `trick` doesn't use
        ('"""A trick."""', ""),
    ],
)
def test_what_changes_no_meaning_changes_no_fingerprint(tmp_path: Path, old: str, new: str) -> None:
    assert old in METHOD
    assert fingerprint(tmp_path, METHOD.replace(old, new)) == fingerprint(tmp_path, METHOD)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("SCALE = 0.5", "SCALE = 0.25"),
        ("x * SCALE", "x + SCALE"),
        ("tables[0]", "tables[1]"),
        ("def trick(tables, maps)", "def trick(tables, maps, more=1)"),
        ("SCALE = 0.5", "SCALE = 0.5\nSCALE += 1"),
    ],
)
def test_what_changes_the_meaning_changes_the_fingerprint(tmp_path: Path, old: str, new: str) -> None:
    assert fingerprint(tmp_path, METHOD.replace(old, new)) != fingerprint(tmp_path, METHOD)


def test_what_a_method_uses_of_the_package_counts(tmp_path: Path) -> None:
    uses = "from suite.models.joins import lape\n\ndef trick(tables, maps):\n    return lape(tables, maps)\n"
    assert fingerprint(tmp_path, uses) != fingerprint(tmp_path, uses.replace("lape", "shared"))
    module = "from suite.models import joins\n\ndef trick(tables, maps):\n    return joins.lape(tables, maps)\n"
    assert fingerprint(tmp_path, module) != fingerprint(tmp_path, module.replace("joins.lape", "joins.shared"))


def test_no_such_definition(tmp_path: Path) -> None:
    with pytest.raises(LookupError, match="defines no 'missing'"):
        fingerprint(tmp_path, METHOD, "missing")
    with pytest.raises(LookupError, match=r"no module suite\.models\.missing"):
        code_fingerprint("suite.models.missing:x")


def test_levels_of_the_package_differ_and_need_no_torch() -> None:
    names = ("lape", "shared", "unshared", "lape_shared")
    assert set(names) <= set(JOINS)
    assert len({code_fingerprint(f"suite.models.joins:{name}") for name in names}) == len(names)
    program = (
        "import sys; from suite.grid.code_fingerprint import code_fingerprint as f;"
        "print(f('suite.models.normalisers.dtn:DynamicTokenNorm')); assert 'torch' not in sys.modules"
    )
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == code_fingerprint("suite.models.normalisers.dtn:DynamicTokenNorm")


@given(st.integers(), st.integers(), st.text("abcxyz #", max_size=20))
def test_numbers_count_and_comments_do_not(first: int, second: int, comment: str) -> None:
    from suite.grid.code_fingerprint import Source, _fingerprint

    def of(text: str) -> str:
        return _fingerprint(Source("", ast.parse(text)), "f")

    plain = f"def f():\n    return {first}\n"
    assert of(plain) == of(plain.replace("\n", f"  # {comment}\n"))
    assert (of(plain) == of(f"def f():\n    return {second}\n")) == (first == second)
