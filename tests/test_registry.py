"""Registries and the one kind of error for bad input."""

from __future__ import annotations

import pickle

import pytest

from suite.errors import InputError, Problem, nearest
from suite.registry import Registry


def test_names_are_kept_in_order_and_once() -> None:
    registry: Registry[int] = Registry("number")
    registry.register("two", 2)
    registry.register("one", 1)
    assert dict(registry) == {"two": 2, "one": 1}
    assert list(registry) == ["two", "one"]
    assert "one" in registry
    with pytest.raises(ValueError, match="number 'one' is registered already"):
        registry.register("one", 3)
    assert registry["one"] == 1


def test_an_unknown_name_gives_the_nearest() -> None:
    registry: Registry[int] = Registry("number")
    registry.register("seven", 7)
    with pytest.raises(InputError, match=r"unknown number 'sevn'[\s\S]*did you mean 'seven'"):
        registry["sevn"]


def test_nearest_lists_all_and_guesses_only_what_is_near() -> None:
    assert nearest("xyz", ["b", "a"]) == "choose one of: a, b"
    assert nearest("lap", ["lape", "default"]) == "did you mean 'lape'? choose one of: default, lape"


def test_a_message_has_its_parts_in_order_and_no_empty_ones() -> None:
    error = InputError("it is wrong", expected="this", found="that", fix="mend it")
    assert str(error) == "it is wrong\n  expected:   this\n  found:      that\n  what to do: mend it"


def test_the_place_is_added_where_it_is_unknown() -> None:
    problems = [Problem("one", where="here"), Problem("two")]
    placed = InputError(problems=problems).at("there")
    assert [problem.where for problem in placed.problems] == ["here", "there"]


def test_an_error_survives_the_way_from_a_worker() -> None:
    error = InputError("it is wrong", expected="this")
    copy = pickle.loads(pickle.dumps(error))
    assert str(copy) == str(error)
    assert copy.problems == error.problems
