"""`lape doctor`: what a bug report needs, and nothing that names the host, the user or a secret."""

from __future__ import annotations

import getpass
import json
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from suite.cli.commands import doctor
from tests.cli.shell import Shell
from tests.cli.test_main import TRAIN, lape_without
from tests.cli.test_programs import valid


def test_what_it_says_is_as_its_schema_and_names_nobody(
    lape: Shell, data_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "t0ps3cret")
    told = valid("doctor", lape("doctor", "--quick", "--json", "--data", data_folder))
    assert lape.code == 0
    parts = {part["name"]: part for part in told["parts"]}
    assert parts["data"]["found"] == "prepared: digits"
    assert parts["extra train"]["state"] == "ok"
    assert "torch 2." in parts["extra train"]["found"]
    out = lape("doctor", "--quick", "--data", tmp_path / "nothing")
    assert "what to do: lape data prepare digits" in out
    for name in (socket.gethostname(), str(tmp_path), str(Path.home()), "t0ps3cret", f"/{getpass.getuser()}"):
        assert name not in out + json.dumps(told)


def test_a_data_set_that_is_not_whole_is_a_problem(
    lape: Shell, write_tree: Callable[..., Path], tmp_path: Path
) -> None:
    from suite.data.preparation import prepare

    folder = write_tree()
    for name in ("photos", "drawings"):
        prepare(name, root=tmp_path / "data", source=folder, storage="folder" if name == "photos" else "arrays")
    (folder / "train" / "disc" / "0.png").unlink()
    told = valid("doctor", lape("doctor", "--quick", "--json", "--data", tmp_path / "data"))
    parts = [(part["state"], part["found"], part["fix"]) for part in told["parts"] if part["name"] == "data"]
    assert parts == [
        ("ok", "prepared: drawings", ""),
        ("problem", "damaged or incomplete: photos", "`lape data ls` says what is wrong, and what to do"),
    ]


def test_without_torch_and_ray_it_says_so() -> None:
    ((code, told),) = lape_without((*TRAIN, "ray", "s3fs"), ("doctor",)).values()
    assert code == 0, told
    assert "pip install 'lape-suite[train]' to train; tables, verdicts and reports work without it" in told
    assert "pip install 'lape-suite[ray]' to run trials side by side" in told
    assert "without s3fs" in told


@pytest.mark.parametrize(
    ("answer", "state", "found"),
    [
        ('{"seconds": 5.2, "ports_here": 9, "ports_everywhere": 0}', "ok", "listens on 9 ports of 127.0.0.1 alone"),
        (
            '{"seconds": 5.2, "ports_here": 9, "ports_everywhere": 2}',
            "problem",
            "2 ports that other machines",
        ),
        ("", "problem", "doesn't start"),
    ],
)
def test_what_ray_says(
    lape: Shell, monkeypatch: pytest.MonkeyPatch, data_folder: Path, answer: str, state: str, found: str
) -> None:
    """With the answer of another process in place of Ray's; the real one is below."""
    monkeypatch.setattr(doctor, "_PROBE", ("-c", f"print({answer!r})"))
    told = valid("doctor", lape("doctor", "--json", "--data", data_folder))
    (part,) = (part for part in told["parts"] if part["name"] == "Ray")
    assert part["state"] == state
    assert found in part["found"]
    assert bool(part["fix"]) == (state == "problem")
    (speed,) = (part for part in told["parts"] if part["name"] == "precision")
    assert "times as fast as in fp32" in speed["found"]


@pytest.mark.slow
@pytest.mark.ray
def test_ray_starts_and_listens_on_this_machine_alone(lape: Shell, data_folder: Path) -> None:
    told = valid("doctor", lape("doctor", "--json", "--data", data_folder))
    (part,) = (part for part in told["parts"] if part["name"] == "Ray")
    assert part["state"] == "ok", part
    assert "of 127.0.0.1 alone" in part["found"]
