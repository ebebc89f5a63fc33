"""Fingerprints of levels: in the ids of trials that use one from outside, and in all records."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from suite.grid.code_fingerprint import code_fingerprint
from suite.grid.grid import load_grid
from suite.grid.level_code import _facts, level_fingerprints
from suite.grid.methods import MethodFile, load_files, unload
from suite.grid.trial import Trial
from suite.models.architectures import resolve_architecture
from suite.models.joins import JOINS
from suite.store.canonical import fingerprint
from suite.store.frames import to_columns
from suite.store.record import differences
from tests.records import make_record

METHOD = '''# A comment.
from suite.methods import LAYER_NORM, Terms, join

SHARE = 0.5


@join(source="a paper")
def scaled(tables, maps):
    """Some of the position."""
    return Terms(stream=[tables[0] * SHARE] * len(maps))
'''

Ids = Callable[[str], dict[str, Trial]]


@pytest.fixture
def trials(write_grid: Callable[..., Path]) -> Iterator[Ids]:
    """The trials of a grid with the method of a text, by join."""
    grid, files = write_grid(("join: [default, lape]", "join: [default, scaled]")), []

    def one(text: str) -> dict[str, Trial]:
        unload(files)
        files[:] = [MethodFile("my_trick.py", text)]
        load_files(files)
        found = {trial.join: trial for trial in load_grid(grid).expand().trials if trial.seed_index == 0}
        assert all(trial.identity["trial_id"] == trial.id and trial.code for trial in found.values())  # now
        return found

    yield one
    unload(files)


@pytest.mark.parametrize(
    ("old", "new", "changes"),
    [
        ("A comment.", "Another one.", False),
        ("Some of the position.", "Another docstring.", False),
        ('source="a paper"', 'source="another paper"', False),
        ("\n\n\n@join", "\n\nOTHER = 3\n\n\n@join", False),
        ("0.5", "0.25", True),
        ("stream=", "inside=", True),
        ('"a paper"', '"a paper", block_map=LAYER_NORM', True),
        ("    return", "    print()\n    return", True),
    ],
)
def test_a_changed_method_is_another_trial_and_a_changed_comment_is_not(
    trials: Ids, old: str, new: str, changes: bool
) -> None:
    assert METHOD.count(old) == 1
    before, after = trials(METHOD), trials(METHOD.replace(old, new))
    assert (before["scaled"].id != after["scaled"].id) == changes
    assert (before["scaled"].cell_id != after["scaled"].cell_id) == changes
    assert before["default"].id == after["default"].id
    assert (before["scaled"].identity["code"] != after["scaled"].identity["code"]) == changes


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=25)
@given(share=st.integers(0, 9), comment=st.text("abc #'", max_size=10))
def test_numbers_are_part_of_the_id_and_comments_are_not(trials: Ids, share: int, comment: str) -> None:
    text = METHOD.replace("0.5", f"0.{share}  # {comment}")
    assert (trials(METHOD)["scaled"].id == trials(text)["scaled"].id) == (share == 5)


def test_only_trials_with_a_level_from_outside_say_so_in_their_config(trials: Ids) -> None:
    of = trials(METHOD)
    assert "methods" not in of["default"].config
    assert of["scaled"].config["methods"] == {"join": of["scaled"].identity["code"]["join"]}
    default, scaled = (make_record(of[name]) for name in ("default", "scaled"))  # whose ids are checked
    recipes = to_columns([default, scaled])["recipe_id"]
    assert recipes[0] == recipes[1]  # so that they are compared


def test_every_level_with_code_has_a_fingerprint_in_the_record(trials: Ids) -> None:
    record = make_record(trials(METHOD)["default"])
    assert record.code is not None
    assert set(record.code) == {"arch", "pe", "join", "norm", "loss"}
    assert differences(record, record.model_copy(update={"code": None})) == {}
    other = record.model_copy(update={"code": {**record.code, "join": "0" * 16}})
    assert set(differences(record, other)) == {"code"}


def test_levels_that_share_a_function_differ() -> None:
    arch = resolve_architecture("deit_tiny")
    found = {
        join: level_fingerprints(arch, {"pe": "learnable", "join": join, "norm": "ln", "loss": "default"})["join"]
        for join in JOINS
    }
    assert len(set(found.values())) == len(JOINS)


def test_a_new_field_at_its_usual_value_changes_nothing() -> None:
    @dataclass(frozen=True)
    class Old:
        name: str
        code: str

    @dataclass(frozen=True)
    class New(Old):
        added: int = 0
        more: dict[str, int] = field(default_factory=dict)

    code = "suite.models.joins:lape"
    assert fingerprint(_facts(Old("a", code))) == fingerprint(_facts(New("b", code)))
    assert fingerprint(_facts(Old("a", code))) != fingerprint(_facts(New("a", code, 1)))
    assert _facts(Old("a", code)) == {"code": code_fingerprint(code)}
    assert _facts(Old("a", "torch.nn:LayerNorm")) == {"code": "torch.nn:LayerNorm"}
