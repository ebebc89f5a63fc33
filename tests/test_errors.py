from __future__ import annotations

from suite.errors import nearest


def test_the_nearest_name_and_those_to_choose_from() -> None:
    assert nearest("lap", ["shared", "lape"]) == "did you mean 'lape'? choose one of: lape, shared"
    assert nearest("qqq", ["shared", "lape"]) == "choose one of: lape, shared"


def test_of_many_names_only_the_first_are_listed() -> None:
    told = nearest("name-998x", [f"name-{number}" for number in range(100, 1000)])
    assert told.startswith("did you mean 'name-998'")
    assert told.endswith("name-159, …")
