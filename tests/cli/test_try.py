"""`lape try`: from a method and some hours to a verdict."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from suite.cli.answers.schemas import schema_file
from suite.cli.trying.choosing import choose
from suite.cli.trying.ladder import load_ladder
from suite.cli.trying.question import ask
from suite.cli.trying.telling import drawn
from suite.errors import InputError
from suite.grid.methods import loaded_files, unload
from suite.grid.trial import Trial
from suite.run.timing import calibration
from suite.run.timing.forecast import Measured
from suite.run.timing.pace import Device, Pace, kind_of
from suite.store.folder import Store
from suite.verdict.claims.reader import load_claims
from suite.verdict.paths import Step
from tests.cli.shell import Shell

# A step that trains for a tenth of a second.
LADDER = """\
wanted_pairs: 3
most_pairs: 3
architectures:
  tiny: {family: vit_lite, patch_size: 4, embed_dim: 8, depth: 2, num_heads: 2, mlp_ratio: 1}
steps:
  - {data: digits, recipe: {version: 1, batch_size: 64, lr: 1e-3, train_images: 128}, epochs: [1, 2], arch: [tiny]}
"""

NOTHING_ELSE: dict[str, Any] = {
    "axis": None, "over": None, "claim": None, "data": None, "arch": None, "recipe": [], "name": None,
}  # fmt: skip


@pytest.fixture
def ladder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A ladder of the working folder, and a calibration of a hundredth of a second."""
    path = tmp_path / "grids" / "ladders" / "try.yaml"
    path.parent.mkdir(parents=True)
    path.write_text(LADDER)
    monkeypatch.setattr(calibration, "SECONDS", 0.01)
    return path


def test_from_a_method_of_ones_own_to_a_verdict(lape: Shell, ladder: Path, tmp_path: Path) -> None:
    try:
        lape("new", "my_trick")
        command = ("try", "my_trick", "--hours", "0.02", "--claim", "+0.5", "--methods", "my_trick/my_trick.py")
        out = lape(*command)
        assert lape.code == 0, out + lape.err
        assert "my_trick over default: tiny on digits, 2 epochs; at most 3 pairs" in out
        assert "what these runs can't say:" in out
        folder = tmp_path / "grids" / "try_my_trick_claim_0_5"
        (claim,) = load_claims([folder / "try_my_trick_claim_0_5_claim.yaml"])
        assert (claim.claimed_gain, claim.margin, claim.max_pairs, claim.any_size) == (0.5, 0.25, 3, False)
        records = Store(tmp_path / "results" / "try_my_trick_claim_0_5").records()
        assert len(records) == 6
        # The same command goes on where it was: nothing is left, and nothing changes.
        before = {path: path.read_bytes() for path in folder.iterdir()}
        told = json.loads(lape(*command, "--json"))
        jsonschema.validate(told, json.loads(schema_file("try").read_text(encoding="utf-8")))
        assert {path: path.read_bytes() for path in folder.iterdir()} == before
        assert (told["axis"], told["baseline"], told["tried"]["epochs"]) == ("join", "default", 2)
        assert told["end"] in ("decided", "all pairs")
        assert told["verdict"]["evidence"]["pairs"] == len(told["path"]) == 3
        assert Store(tmp_path / "results" / "try_my_trick_claim_0_5").records() == records
        # Another question doesn't take its folder.
        name = ("--name", "try_my_trick_claim_0_5")
        assert "the folder holds another question" in lape.refuses("try", "lape", "--hours", "1", *name)
        # A spent time is told, and is no end.
        folder.joinpath(f"{folder.name}_claim.yaml").write_text(
            before[folder / f"{folder.name}_claim.yaml"].decode().replace("max_pairs: 3", "max_pairs: 99")
        )
        told = json.loads(lape("try", *command[1:3], "0.001", *command[4:], "--json"))
        assert (lape.code, told["end"]) == (1, "time") or told["verdict"]["word"] != "open"
    finally:
        unload(loaded_files())


def measured(seconds_per_image: float) -> Callable[[Sequence[Trial]], Measured]:
    """What a calibration finds where each image takes so long in training, and nothing in tests."""
    at, device = "2026-01-01T00:00:00+00:00", Device("cpu", False, "fp32", 1)

    def measure(sides: Sequence[Trial]) -> Measured:
        return Measured(at, 1, 0.0, [Pace(kind_of(one.config), device, seconds_per_image, 0.0, at) for one in sides])

    return measure


@pytest.mark.parametrize(
    ("hours", "epochs", "pairs"),
    # A pair of one epoch takes 256 seconds, nine tenths of the time are used: 3 pairs of two epochs need 1,707 seconds.
    [(1.0, 2, 3), (0.475, 2, 3), (0.474, 1, 3), (0.238, 1, 3)],
)
def test_what_fits_into_the_time_is_chosen(lape: Shell, ladder: Path, hours: float, epochs: int, pairs: int) -> None:
    question, steps = ask("lape", **NOTHING_ELSE), load_ladder()
    choice = choose(question, steps, steps.steps, measured(1.0), lambda: 3600 * hours, 1)
    assert (choice.design.epochs, choice.design.pairs) == (epochs, pairs)
    assert choice.pair_seconds == 256 * epochs


def test_a_time_that_is_too_short_says_what_is_needed(lape: Shell, ladder: Path) -> None:
    question, steps = ask("lape", **NOTHING_ELSE), load_ladder()
    with pytest.raises(InputError, match="the time is too short") as error:
        choose(question, steps, steps.steps, measured(1.0), lambda: 3600 * 0.2, 1)
    assert "--hours 0.25 or more" in str(error.value)
    # Two at a time take half of it.
    assert choose(question, steps, steps.steps, measured(1.0), lambda: 3600 * 0.2, 2).design.pairs == 3


def test_expensive_steps_are_not_even_measured(lape: Shell) -> None:
    question, ladder, seen = ask("lape", **NOTHING_ELSE), load_ladder(), []

    def measure(sides: Sequence[Trial]) -> Measured:
        seen.append(sides[0].arch.name)
        return measured(0.01)(sides)

    # 20 pairs of 8 epochs take 3,801 seconds, 12 of 16 epochs 4,561.
    choice = choose(question, ladder, ladder.steps, measure, lambda: 4300.0, 1)
    assert (choice.design.arch, choice.design.epochs, choice.design.pairs) == ("vit_small_digits", 8, 20)
    assert seen == ["vit_small_digits", "vit_lite_digits"]


# Levels that the ladder's recipes don't suit: they smooth labels, and mix no images.
NEEDS = {
    "bce": ["recipe.label_smoothing=0"],
    "diversepatch": ["recipe.cutmix=1", "recipe.cutmix_grid=2"],
}


# One of each kind: a token norm of a grid, one of feature maps, a position, losses.
@pytest.mark.parametrize("method", ["dtn", "l2bn", "rope2d", "focal", "bce", "diversepatch"])
def test_each_kind_of_method_finds_an_architecture(lape: Shell, method: str) -> None:
    question = ask(method, **{**NOTHING_ELSE, "recipe": NEEDS.get(method, [])})
    ladder = load_ladder()
    design = choose(question, ladder, ladder.steps[:2], measured(1e-4), lambda: 1e5, 1).design
    sides = design.sides()
    assert [one.levels[question.axis] for one in sides] == [question.baseline, method]
    assert sides[0].recipe.epochs == 30
    if method in NEEDS:
        with pytest.raises(InputError, match="no architecture here can have both"):
            choose(ask(method, **NOTHING_ELSE), ladder, ladder.steps[:1], measured(1e-4), lambda: 1e5, 1)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["lapee"], "unknown method 'lapee'"),
        (["lapee"], "did you mean 'lape'?"),
        (["default"], "'default' is a level of several axes"),
        (["default", "--axis", "join"], "'default' is what other methods are compared with"),
        (["lape", "--axis", "size"], "unknown axis 'size'"),
        (["lape", "--over", "lapee"], "unknown join 'lapee'"),
        (["lape", "--data", "mnist"], "unknown data 'mnist'"),
        (["lape", "--data", "cifar10"], "run `lape data prepare cifar10`"),
        (["lape", "--arch", "vit_light"], "did you mean 'vit_lite'?"),
        (["l2bn", "--arch", "vit_lite"], "no architecture here can have both bn and l2bn"),
        (["lape", "--claim", "-1"], "no gain is claimed"),
        (["lape", "--name", "My Trial"], "can't be the name of a grid"),
        (["lape", "--set", "recipe.epochs=3"], "a value that `lape try` can't set"),
        (["lape", "--executor", "dask"], "unknown executor 'dask'"),
    ],
)
def test_what_is_wrong_is_said_before_anything_is_written(
    lape: Shell, tmp_path: Path, arguments: list[str], told: str
) -> None:
    assert told in lape.refuses("try", *arguments, "--hours", "1")
    assert not list(tmp_path.iterdir())


def test_a_ladder_that_cant_be_read_names_its_line(lape: Shell, ladder: Path) -> None:
    ladder.write_text(LADDER.replace("epochs: [1, 2]", "epochs: [2, 1]"))
    assert "try.yaml, line 6" in lape.refuses("try", "lape", "--hours", "1")


def test_a_path_is_drawn_to_scale() -> None:
    nothing = float("inf")
    path = (Step(2, 4.0, -nothing, nothing, nothing, "not_tested"), Step(3, 2.0, 1.0, 3.0, 1.0, "gain_here"))
    _, first, second = drawn(path)
    assert (first.index("o") - first.index("|")) == pytest.approx(2 * (second.index("o") - second.index("|")), abs=1)
    assert second.count("=") == pytest.approx(second.index("o") - second.index("|"), abs=1)
    assert drawn(()) == []
