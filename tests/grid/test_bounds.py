"""Grid files that ask for too much, or for what isn't theirs, are refused at once, with their place."""

from __future__ import annotations

import contextlib
import os
import re
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import pytest

from suite.errors import InputError
from suite.grid.documents import MOST_BYTES, MOST_PROBLEMS, read_document
from suite.grid.grid import load_grid
from suite.grid.methods import MethodFile
from suite.grid.schema import MOST_RULES, MOST_TRIALS
from suite.models.joins import JOINS
from suite.models.norms import NORMS
from suite.models.positions import POSITIONS
from suite.verdict.claims.reader import load_claims
from tests.conftest import GRID, REPOSITORY

Write = Callable[..., Path]


def read(path: Path, overrides: tuple[str, ...], seeds: int | None) -> None:
    grid = load_grid(path, overrides, seeds)
    assert all(isinstance(file, Path) for file in grid.claim_files)
    grid.expand()


def refused(path: Path, *overrides: str, seeds: int | None = None) -> str:
    with pytest.raises(InputError) as caught:
        read(path, overrides, seeds)
    return str(caught.value)


@pytest.mark.parametrize(
    "text",
    ["1" * 16_000, "1" * 16_000 + "x", "1_" * 8000 + "x", "1." * 8000, "0x" + "f" * 16_000 + "z",
     "-" + "9" * 16_000 + "e", "_" * 16_000 + "y", "1" * 8000 + "." + "1" * 8000 + "q"],
)  # fmt: skip
def test_long_numbers_take_no_time(write_grid: Write, text: str) -> None:
    path = write_grid(("lr: 1e-3", f"lr: {text}"))
    began = time.process_time()
    refused(path)
    assert time.process_time() - began < 2  # ten seconds and more when it is quadratic


def test_a_long_word_of_digits_and_letters_is_no_number(tmp_path: Path) -> None:
    word = "0123456789" * 5 + "g"
    (tmp_path / "a.yaml").write_text(f"a: {word}\n")
    assert read_document(tmp_path / "a.yaml").values == {"a": word}


def test_a_file_has_a_bound(write_grid: Write) -> None:
    path = write_grid()
    room = MOST_BYTES - len(path.read_bytes())
    with path.open("a") as file:
        file.write("#" * (room - 1) + "\n")
    assert load_grid(path).expand().trials
    with path.open("a") as file:
        file.write("\n")
    message = refused(path)
    assert "the file is too large" in message
    assert "1,000,000 bytes" in message
    endless = Path("/dev/zero")
    if endless.exists():
        assert "a pipe, a socket or a device" in refused(endless)


def test_trials_are_counted_before_anything_is_expanded(write_grid: Write) -> None:
    names = [f"a{number}" for number in range(600)]
    path = write_grid(
        ("arch: [tiny]", f"arch: [{', '.join(names)}]"),
        ("[learnable]", f"[{', '.join(POSITIONS)}]"),
        ("[default, lape]", f"[{', '.join(JOINS)}]\n  norm: [{', '.join(NORMS)}]"),
    )
    began = time.process_time()
    message = refused(path, seeds=1000)
    assert time.process_time() - began < 5
    cells = 600 * len(POSITIONS) * len(JOINS) * len(NORMS)
    assert f"{cells:,} cells × 1000 seeds = {cells * 1000:,}" in message
    assert f"at most {MOST_TRIALS:,}" in message
    assert "line 7" in message


def test_trials_of_all_blocks_and_included_cells_are_counted_together(write_grid: Write) -> None:
    include = "[" + ", ".join(["{pe: learnable, join: lape}"] * 60) + "]"
    block = f"  - {{axes: {{arch: [tiny], pe: [learnable], join: [default], dataset: [digits]}}, include: {include}}}\n"
    path = write_grid((GRID[GRID.index("axes:") :], "blocks:\n" + block * 2))
    assert "122 cells × 1000 seeds = 122,000" in refused(path, seeds=1000)


def test_rules_have_a_bound(write_grid: Write) -> None:
    rules = ", ".join(["{when: {join: lape}, reason: r}"] * (MOST_RULES + 1))
    assert f"at most {MOST_RULES}" in refused(write_grid(("seeds:", f"exclude: [{rules}]\nseeds:")))


def test_a_message_lists_some_problems_and_counts_the_others(write_grid: Write) -> None:
    lines = "".join(f"key_{number}: 1\n" for number in range(MOST_PROBLEMS + 7))
    with pytest.raises(InputError) as caught:
        load_grid(write_grid(("seeds:", f"{lines}seeds:")))
    assert len(caught.value.problems) == MOST_PROBLEMS + 1
    assert caught.value.problems[-1].what == "and 7 more problems like these"


@pytest.mark.parametrize("key", ["recipe", "recipe.epochs", "blocks.0", "seeds.0", "axes.join.0", "expect.0.when"])
@pytest.mark.parametrize("value", ["", "1", "x", "[1, 2]", "{a: 1}", "null", "[&a true, *a]", "2020-01-01"])
@pytest.mark.parametrize("before", [(), ("blocks=[1, {recipe: {a: 1}}]",), ("blocks=[]",), ("recipe=[1]",)])
def test_whatever_is_set_gives_a_grid_or_a_message(
    write_grid: Write, before: tuple[str, ...], key: str, value: str
) -> None:
    with contextlib.suppress(InputError):  # anything else is a traceback
        assert load_grid(write_grid(), [*before, f"{key}={value}"]).expand().trials


def test_an_override_reaches_the_block_that_has_a_recipe_beside_one_that_is_none(write_grid: Write) -> None:
    message = refused(write_grid(), "blocks=[1, {recipe: {a: 1}}]", "recipe.epochs=1")
    assert "blocks.0" in message


@pytest.mark.parametrize("name", ["../secret.yaml", "/etc/passwd", "link.yaml", "a/../../secret.yaml"])
def test_claims_lie_beside_the_grid(tmp_path: Path, name: str) -> None:
    secret = tmp_path / "secret.yaml"
    secret.write_text("password hunter2: [\n")
    folder = tmp_path / "grids"
    folder.mkdir()
    (folder / "link.yaml").symlink_to(secret)
    path = folder / "g.yaml"
    path.write_text(GRID.replace("seeds:", f"claims: [{name}]\nseeds:", 1))
    message = refused(path)
    assert "a file outside the grid's folder" in message
    assert f"{path}, line 3" in message
    assert "hunter2" not in message
    assert "root:" not in message


def test_claims_of_the_project_may_be_named_from_anywhere(
    write_grid: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    path = write_grid(("seeds:", f"claims: [{REPOSITORY / 'grids/claims/dtn.yaml'}]\nseeds:"))
    assert [file.name for file in load_grid(path).claim_files] == ["dtn.yaml"]


def test_an_override_that_holds_itself_is_refused(write_grid: Write) -> None:
    with pytest.raises(InputError, match="a value inside itself"):
        load_grid(write_grid(), ["recipe.lr=&a [*a]"])


def test_a_pipe_is_refused_as_grid_claim_file_and_method_file(write_grid: Write) -> None:
    """No process writes to it: its reader would wait forever."""
    grid = write_grid(("axes:", "claims: [pipe.yaml]\naxes:"))
    pipe = grid.parent / "pipe.yaml"
    os.mkfifo(pipe)
    readers: list[Callable[[], object]] = [
        lambda: load_grid(pipe),
        lambda: load_claims(load_grid(grid).claim_files),
        lambda: MethodFile.read(pipe),
    ]
    for reader in readers:
        with pytest.raises(InputError) as caught:
            reader()
        assert "a pipe, a socket or a device" in caught.value.problems[0].found
        assert str(pipe) in caught.value.problems[0].where


def test_a_name_with_a_null_character_is_no_claim_file(write_grid: Write) -> None:
    problem = refused(write_grid(("axes:", 'claims: ["a\\0.yaml"]\naxes:')))
    assert "a file outside the grid's folder" in problem


def test_a_method_file_that_is_too_large_is_not_cut_off(tmp_path: Path) -> None:
    (tmp_path / "large.py").write_text("#" * (2**20 + 1))
    with pytest.raises(InputError, match="more than 1,048,576 bytes"):
        MethodFile.read(tmp_path / "large.py")


def test_an_anchor_that_stands_twice_is_refused_without_a_warning(write_grid: Write) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert "the same anchor twice" in refused(write_grid(("seeds: [0, 1]", "seeds: [&a 0, &a 1]")))


@pytest.mark.parametrize(
    ("key", "place"),
    [
        ("batch_size: 5000", "small.yaml, line 6"),
        ("train_images: 3", "small.yaml, line 6"),
        ("cutmix: 1.0\n  cutmix_grid: 3", "small.yaml, line 7"),
        ("cosine_weight: 0.5", "small.yaml, line 6"),
        ("repeats: 100\n  train_images: 99", "small.yaml, line 6"),
        ("crop_scale: [0.5, 1.0]\n  resizer: torch", "small.yaml, line 7"),
        ("warmup_epochs: 9", "small.yaml, line 6"),
    ],
)
def test_what_is_wrong_with_a_recipe_has_the_line_of_its_key(write_grid: Write, key: str, place: str) -> None:
    old = next(line for line in GRID.splitlines() if line.startswith("recipe:"))
    rest = ["epochs: 2", "lr: 1e-3", *([] if "batch_size" in key else ["batch_size: 64"])]
    path = write_grid((old, "\n  ".join(["recipe:", "version: 1", key, *rest])))
    message = refused(path)
    assert place in message, message
    assert "axes" not in message


def test_keys_without_an_effect_on_the_data_are_refused(write_grid: Write) -> None:
    """They would give the same training another id."""
    changes = ("recipe.crop_scale=[0.5,1.0]", "recipe.resizer=torch")
    assert "the recipe's resizer has no effect on digits, whose images are in memory" in refused(write_grid(), *changes)
    few = ("recipe.train_images=128", "recipe.batch_size=64", "recipe.repeats=100")
    read(write_grid(), few, None)
    message = refused(write_grid(), "recipe.train_images=80", "recipe.batch_size=64", "recipe.repeats=100")
    assert "the recipe's repeats doesn't fit the data set digits" in message
    assert "from 1 to 80" in message


def test_a_key_of_a_recipe_file_has_its_line_there(write_grid: Write, tmp_path: Path) -> None:
    (tmp_path / "recipes").mkdir()
    (tmp_path / "recipes" / "own.yaml").write_text("version: 1\nepochs: 2\nlr: 1e-3\nbatch_size: 5000\n")
    old = next(line for line in GRID.splitlines() if line.startswith("recipe:"))
    assert "own.yaml, line 4" in refused(write_grid((old, "recipe: own")))
    assert "--set recipe.batch_size=4000" in refused(write_grid((old, "recipe: own")), "recipe.batch_size=4000")


@pytest.mark.parametrize(
    ("size", "message"),
    [
        ("conv_layers: 4611686018427387903", "conv_layers is too large"),
        ("depth: 1001", "depth is too large.*at most 1,000.*1001"),
        ("embed_dim: 1000001", "embed_dim is too large.*at most 1,000,000"),
    ],
)
def test_an_architecture_has_a_largest_size(write_grid: Write, size: str, message: str) -> None:
    """A model of more modules would take hours to build, and some sizes are counted one by one."""
    path = write_grid(("  tiny:", f"  huge: {{family: cct_7_3x1, {size}}}\n  tiny:"), ("arch: [tiny]", "arch: [huge]"))
    told = refused(path)
    assert re.search(message, told, re.DOTALL)


def test_a_size_that_is_an_axis_has_a_bound_too(write_grid: Write) -> None:
    path = write_grid(("depth: 2, ", ""), ("  dataset:", "  size.depth: [2, 1000000000]\n  dataset:"))
    assert "depth is too large" in refused(path)
