from __future__ import annotations

import ast
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from suite.grid.code_fingerprint import code_fingerprint, text_fingerprint
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


def fingerprint(text: str, name: str = "trick") -> str:
    return text_fingerprint(text, name)


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
def test_what_changes_no_meaning_changes_no_fingerprint(old: str, new: str) -> None:
    assert old in METHOD
    assert fingerprint(METHOD.replace(old, new)) == fingerprint(METHOD)


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
def test_what_changes_the_meaning_changes_the_fingerprint(old: str, new: str) -> None:
    assert fingerprint(METHOD.replace(old, new)) != fingerprint(METHOD)


def test_a_whole_module_can_be_asked_for() -> None:
    assert text_fingerprint(METHOD) == text_fingerprint(METHOD.replace("Half of it.", "Another docstring."))
    assert text_fingerprint(METHOD) != text_fingerprint(METHOD.replace("return tables\n", "return maps\n"))


def test_what_a_method_uses_of_the_package_counts_by_its_name_alone() -> None:
    """The package may be rearranged without new ids for methods from outside; see CODE_EPOCH."""
    uses = "from suite.models.joins import lape\n\ndef trick(tables, maps):\n    return lape(tables, maps)\n"
    assert fingerprint(uses) != fingerprint(uses.replace("lape", "shared"))
    assert fingerprint(uses) == fingerprint(uses.replace("suite.models.joins", "suite.methods"))


def test_what_a_definition_of_the_package_uses_there_counts() -> None:
    source = "from suite.models.joins import lape\n\ndef trick(tables, maps):\n    return lape(tables, maps)\n"
    from suite.grid.code_fingerprint import Source, _fingerprint

    def of(text: str) -> str:
        return _fingerprint(Source("", ast.parse(text)), "trick")

    assert of(source) != text_fingerprint(source, "trick")
    module = "from suite.models import joins\n\ndef trick(tables, maps):\n    return joins.lape(tables, maps)\n"
    assert of(module) != of(module.replace("joins.lape", "joins.shared"))


def test_no_such_definition() -> None:
    with pytest.raises(LookupError, match="defines no 'missing'"):
        fingerprint(METHOD, "missing")
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
