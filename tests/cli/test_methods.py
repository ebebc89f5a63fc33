"""`--methods FILE` on the command line, and that nothing else loads code."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from suite.grid.grid import load_grid
from suite.grid.methods import load_methods, loaded_files, unload
from suite.models.joins import JOINS
from suite.store.folder import Store
from tests.cli.shell import JOIN, SHAPE, TINY, Shell, Write, forgotten
from tests.records import make_record

TRAP = "import pathlib\npathlib.Path({!r}).touch()\n"


@pytest.fixture
def trick(tmp_path: Path) -> Iterator[Path]:
    """A method file, which is forgotten at the end."""
    path = tmp_path / "my_trick.py"
    path.write_text(JOIN)
    with forgotten():
        yield path


@pytest.fixture
def grid(write_grid: Write) -> Path:
    """A grid of the default and that method."""
    return write_grid(("join: [default, lape]", "join: [default, halved]"))


def forget() -> None:
    unload(loaded_files())
    assert "halved" not in JOINS


def test_every_command_that_reads_a_grid_takes_a_method(lape: Shell, trick: Path, grid: Path, tmp_path: Path) -> None:
    lape("run", grid, "--executor", "serial", "--methods", trick)
    assert lape.code == 0, lape.err
    assert "halved" in lape.out
    (copy,) = (tmp_path / "results" / "small" / "methods").iterdir()
    assert copy.read_text() == JOIN
    trial = load_grid(grid).expand().trials[-1]
    for command in ("check", "plan", "status", "cost", "tables", "verify", "report"):
        forget()
        lape(command, grid, "--methods", trick)
        assert lape.code == 0, lape.err
        if command in ("plan", "cost"):
            assert "halved" in lape.out or "2 done" in lape.out or "4 done" in lape.out
    forget()
    assert "the same" in lape("rerun", trial.id, "--grid", grid, "--methods", trick)
    forget()
    assert "unknown join 'halved'" in lape.refuses("check", grid)


OWN = "; a method of your own needs --methods FILE\n"


def test_an_unknown_level_may_be_of_a_file_that_was_not_named(
    lape: Shell, write_grid: Write, grid: Path, tmp_path: Path
) -> None:
    assert OWN in lape.refuses("run", grid, "--executor", "serial")
    told = lape.refuses("check", write_grid(("arch: [tiny]", "arch: [my_net]")))
    assert "unknown architecture 'my_net'" in told
    assert "tiny" in told.partition("choose one of")[2]
    assert OWN in told
    told = lape.refuses("check", write_grid(("dataset: [digits]", "dataset: [mine]")))
    assert "unknown data set 'mine'" in told
    assert "--methods" not in told
    for command in (
        ["cost", "--arch", "vit_lite_7_4", "--join", "halved"],
        ["cost", "--arch", "my_net"],
        ["bench", "--arch", "vit_lite_7_4", "--treatment", "halved"],
        ["try", "halved", "--hours", "1"],
        ["try", "lape", "--over", "halved", "--hours", "1"],
    ):
        assert OWN in lape.refuses(*command), command


def test_ls_cost_and_bench_know_it(lape: Shell, trick: Path) -> None:
    out = lape("ls", "joins", "--methods", trick)
    (line,) = (line for line in out.splitlines() if line.startswith("halved"))
    assert line.endswith(f"[a paper]; from {trick}")
    assert out.count("; from ") == 1
    forget()
    out = lape("cost", "--arch", "vit_lite", *TINY, *SHAPE, "--join", "halved", "--methods", trick, "--csv", "-")
    assert "halved" in out
    forget()
    options = ["--treatment", "halved", "--rounds", "2", "--batch-size", "2", "--methods", trick]
    assert "halved" in lape("bench", "--arch", "vit_lite", *TINY, *SHAPE, *options)


def test_what_to_type_names_the_file(lape: Shell, trick: Path, grid: Path) -> None:
    assert f"--methods {trick}" in lape("plan", grid, "--methods", trick)


def test_an_error_is_one_message_with_its_line(lape: Shell, trick: Path, grid: Path) -> None:
    trick.write_text(JOIN + "\nraise OSError('mine')\n")
    assert f"{trick}:9" in lape.refuses("plan", grid, "--methods", trick)
    assert "method file that can't be read" in lape.refuses("plan", grid, "--methods", "missing.py")


def test_no_results_folder_grid_or_claim_file_causes_code_to_be_loaded(
    lape: Shell, write_grid: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each would leave a file behind if it ran."""
    monkeypatch.chdir(tmp_path)
    ran = tmp_path / "ran"
    trap = TRAP.format(str(ran))
    for place in ("results/small/methods", "results/small", "results", ".", "grids", "methods"):
        (tmp_path / place).mkdir(parents=True, exist_ok=True)
        (tmp_path / place / "trap.py").write_text(trap)
        (tmp_path / place / "methods.py").write_text(trap)
        (tmp_path / place / "sitecustomize.py").write_text(trap)
    path = write_grid()
    store = Store(tmp_path / "results" / "small")
    for trial in load_grid(path).expand().trials:
        store.put(make_record(trial))
    store.collect()
    for command in ("plan", "tables", "verify", "report", "status", "run", "check"):
        lape(command, path)
        assert lape.code == 0, lape.err
    text = path.read_text()
    for key in ("methods: [trap.py]", "import: trap", "plugins: [trap]"):
        path.write_text(f"{text}\n{key}\n")
        assert key.partition(":")[0] in lape.refuses("plan", path)
    path.write_text(text.replace("learnable", "trap:x"))
    assert "unknown pe 'trap:x'" in lape.refuses("plan", path)
    claim = tmp_path / "claims.yaml"
    claim.write_text("methods: [trap.py]\ntitle: x\nvalues: {}\nclaims: []\n")
    lape("check", claim)
    assert not ran.exists()
    with pytest.raises(Exception, match="registers nothing"):
        load_methods([tmp_path / "trap.py"])
    assert ran.exists()  # it was a trap


def test_a_method_that_ends_the_program_fails_its_trials(lape: Shell, trick: Path, grid: Path, tmp_path: Path) -> None:
    trick.write_text(JOIN.replace("return", "raise SystemExit(0)\n    return"))
    lape("run", grid, "--executor", "serial", "--methods", trick)
    assert lape.code == 1, lape.out + lape.err
    records = Store(tmp_path / "results" / "small").records().values()
    assert sorted((record.status, record.join) for record in records) == [
        *[("done", "default")] * 2,
        *[("error", "halved")] * 2,
    ]
    assert all("SystemExit: 0" in (record.error or "") for record in records if record.status == "error")


def test_a_method_that_ends_the_program_elsewhere_is_bad_input(lape: Shell, trick: Path) -> None:
    trick.write_text(JOIN.replace("return", "raise SystemExit(0)\n    return"))
    told = lape.refuses("cost", "--arch", "vit_lite", *TINY, *SHAPE, "--join", "halved", "--methods", trick)
    assert "ends the program" in told
    assert f"{trick}:7" in told
