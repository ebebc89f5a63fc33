"""`--json`: what each command prints for programs is what its JSON Schema says, whatever the exit code."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from suite.cli.answers.schemas import ANSWERS, schema_file, schema_text
from suite.cli.main import FOR_PROGRAMS
from suite.grid.grid import load_grid
from tests.cli.shell import SHAPE, TINY, Shell, Write
from tests.cli.test_stale import change_code
from tests.conftest import REPOSITORY

PAGE = REPOSITORY / "docs" / "programs.md"


def valid(name: str, text: str) -> Any:
    """The answer, which must be as its schema says."""
    found = json.loads(text)
    jsonschema.validate(found, json.loads(schema_file(name).read_text(encoding="utf-8")))
    return found


@pytest.mark.parametrize("name", ANSWERS)
def test_each_schema_is_made_of_its_model(name: str) -> None:
    assert schema_file(name).read_text(encoding="utf-8") == schema_text(name), "python -m suite.cli.answers.schemas"
    jsonschema.Draft202012Validator.check_schema(json.loads(schema_text(name)))
    with pytest.raises(jsonschema.ValidationError):
        valid(name, '{"format": "lape/another/1"}')


def test_the_page_names_each_command_schema_and_exit_code() -> None:
    text = PAGE.read_text(encoding="utf-8")
    for name in ANSWERS:
        assert f"`{name}.schema.json`" in text
    for command in FOR_PROGRAMS:
        assert f"`lape {command}" in text
    for code in (0, 1, 2, 70, 130, 141):
        assert f"\n| {code} |" in text


def test_a_plan(lape: Shell, finished: Path, tmp_path: Path) -> None:
    told = valid("plan", lape("plan", finished, "--seeds", "3", "--json"))
    assert told["trials"] == {"total": 6, "done": 4, "failed": 0, "to_do": 2}
    assert told["power"]["points_low"] == pytest.approx(told["power"]["points_high"])
    changed = change_code(tmp_path / "results" / "small", "lape")
    told = valid("plan", lape("plan", finished, "--json"))
    assert [one["trial_id"] for one in told["stale"]] == changed
    assert told["trials"]["to_do"] == 0
    told = valid("plan", lape("plan", finished, "--json", "--stale", "rerun"))
    assert told["trials"] == {"total": 4, "done": 2, "failed": 0, "to_do": 2}
    assert told["seconds"] > 0
    out = lape("plan", finished, "--stale", "rerun")
    assert "2 stored runs were made by other code than that at hand, and are to do again" in out
    assert "4: 2 done, 0 failed, 2 to do" in out
    assert "4: 4 done" in lape("plan", finished, "--stale", "keep")
    assert "unknown word on stale records 'new'" in lape.refuses("plan", finished, "--stale", "new")


def test_a_grid_that_cant_run(lape: Shell) -> None:
    assert valid("plan", lape("plan", "table3", "--json"))["not_runnable"].startswith("object detection")


def test_the_state_and_the_tables(lape: Shell, finished: Path) -> None:
    assert valid("status", lape("status", finished, "--json"))["complete"]
    told = valid("tables", lape("tables", finished, "--json"))
    (table,) = told["tables"]
    assert (told["runs"], [row["n"] for row in table["records"]]) == (4, [2, 2])
    assert table["records"][0]["gain"] is None
    assert table["records"][1]["gain"] == pytest.approx(1.0)
    assert all(Path(file).is_file() for file in told["files"])


def test_verdicts(lape: Shell) -> None:
    told = valid("verify", lape("verify", "l2bn_budget", "--results", REPOSITORY / "results", "--json"))
    assert [one["word"] for one in told] == ["open"] * 6
    assert told[0]["evidence"]["pairs"] == 3
    (one, *_) = valid("verify", lape("verify", "table3", "--json"))
    assert (one["word"], one["evidence"]) == ("not_tested", None)


def test_counts(lape: Shell) -> None:
    told = valid("verify-static", lape("verify", "--static", "table5", "--json"))
    assert {one["word"] for one in told} == {"confirmed"}
    told = valid(
        "cost", lape("cost", "--arch", "vit_lite", *TINY, *SHAPE, "--pe", "learnable", "--pe", "none", "--json")
    )
    assert [model["params_added"] for model in told["models"] if model["join"] == "lape"] == [32]
    assert told["impossible"]


def test_what_is_valid_and_what_is_not(lape: Shell, write_grid: Write) -> None:
    good, bad = write_grid(name="good.yaml"), write_grid(("[learnable]", "[lernable]"), name="bad.yaml")
    told = valid("check", lape("check", good, REPOSITORY / "grids" / "claims" / "table6.yaml", "--json"))
    assert (lape.code, told["valid"], told["problems"]) == (0, True, [])
    assert [part["kind"] for part in told["checked"]] == ["grid", "claims"]
    told = valid("check", lape("check", good, bad, "--json"))
    assert (lape.code, told["valid"], [part["name"] for part in told["checked"]]) == (2, False, [str(good)])
    assert "bad.yaml, line" in told["problems"][0]["where"]
    assert lape.err.startswith("error: ")


@pytest.mark.parametrize("command", ["plan", "status", "tables", "verify", "cost", "run"])
def test_bad_input_is_told_in_json_too(lape: Shell, command: str) -> None:
    lape.refuses(command, "quikstart", "--json")
    told = valid("error", lape.out)
    assert told["problems"][0]["what"] == "no such grid 'quikstart'"
    assert "did you mean 'quickstart'?" in told["problems"][0]["fix"]


def test_bytes_that_are_not_utf_8_are_written_as_an_escape(lape: Shell, tmp_path: Path) -> None:
    r"""Python reads a byte of an argument that isn't UTF-8 as half of a surrogate pair, such as \udcff."""
    odd = tmp_path / "odd\udcff"
    lape.refuses("plan", odd / "grid.yaml", "--json")
    assert r"odd\udcff" in valid("error", lape.out)["problems"][0]["where"]
    lape.refuses("verify", "quickstart", "--set", "description=\udcff", "--json")
    assert r"description=\udcff" in valid("error", lape.out)["problems"][0]["where"]
    assert valid("plan", lape("plan", "quickstart", "--results", odd, "--json"))["grid"] == "quickstart"


def test_a_run_is_a_line_per_event(lape: Shell, write_grid: Write, data_folder: Path) -> None:
    path = write_grid(("train_images: 128", "train_images: 64"))
    out = lape("run", path, "--executor", "serial", "--data", data_folder, "--limit", "2", "--json")
    events = [valid("run", line) for line in out.splitlines()]
    assert lape.code == 1
    ids = [trial.id for trial in load_grid(path).expand().trials[:2]]
    assert [event["event"] for event in events] == ["planned", *["started", "finished"] * 2, "ended"]
    assert (events[0]["now"], events[0]["trials"]["to_do"]) == (2, 4)
    assert [event["trial_id"] for event in events if event["event"] == "finished"] == ids
    assert events[-1]["trials"] == {"total": 4, "done": 2, "failed": 0, "to_do": 2}
    assert not events[-1]["complete"]
    assert Path(events[-1]["report"]).is_file()
