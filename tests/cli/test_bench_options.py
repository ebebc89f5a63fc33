"""The options of `lape bench`: each field of the dataclass is an option, and what has no effect is refused."""

from __future__ import annotations

from dataclasses import fields

import pytest
import typer.main

from suite.cli.declarations import bench_options
from suite.cli.declarations.bench_options import FOR_THROUGHPUT, NOT_FOR_THROUGHPUT, BenchOptions
from suite.cli.declarations.models import commands
from suite.errors import InputError


def test_each_field_is_an_option_of_the_command_and_nothing_else_is() -> None:
    command = typer.main.get_command(commands).commands["bench"]  # type: ignore[attr-defined]
    assert {option.name for option in command.params} - {"help"} == {f.name for f in fields(BenchOptions)} - {"given"}
    defaults = {option.name: option.default for option in command.params}
    assert all(defaults[field.name] == field.default for field in fields(BenchOptions) if field.name != "given")


@pytest.mark.parametrize("name", [*NOT_FOR_THROUGHPUT, *FOR_THROUGHPUT])
def test_an_option_without_effect_is_refused_by_its_flag(name: str) -> None:
    options = BenchOptions(given=frozenset({name}))
    with pytest.raises(InputError) as caught:
        options.refuse((name,), "of the other kind")
    flag = bench_options._FLAGS.get(name, f"--{name.replace('_', '-')}")
    assert flag in caught.value.problems[0].found
    options.refuse(tuple({*NOT_FOR_THROUGHPUT, *FOR_THROUGHPUT} - {name}), "of the other kind")
