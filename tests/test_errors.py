from __future__ import annotations

from suite.errors import Problem, nearest, unknown


def test_the_nearest_name_and_those_to_choose_from() -> None:
    assert nearest("lap", ["shared", "lape"]) == "did you mean 'lape'? choose one of: lape, shared"
    assert nearest("qqq", ["shared", "lape"]) == "choose one of: lape, shared"


def test_of_many_names_only_the_first_are_listed() -> None:
    told = nearest("name-998x", [f"name-{number}" for number in range(100, 1000)])
    assert told.startswith("did you mean 'name-998'")
    assert told.endswith("name-159, …")


def test_an_unknown_name_gets_the_nearest_one_the_list_and_what_else_can_be_done() -> None:
    error = unknown("join", "lap", ["default", "lape"], where="a.yaml, line 3", fix="or add your own")
    (problem,) = error.problems
    assert problem == Problem(
        "unknown join 'lap'",
        expected="a known join",
        found="'lap'",
        where="a.yaml, line 3",
        fix="did you mean 'lape'? choose one of: default, lape; or add your own",
    )
    (other,) = unknown("recipe", "x", [], expected="a file", fix="write one").problems
    assert (other.expected, other.fix) == ("a file", "write one")
