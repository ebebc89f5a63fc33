"""Settings as axes: recipe keys and sizes, alone and tied. Their ids, pairs and expansion, and what is refused."""

from __future__ import annotations

import hashlib
import itertools
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from suite.errors import InputError
from suite.grid.grid import load_grid
from suite.grid.recipe import Recipe
from suite.grid.settings import SETTINGS, level_text, reduced_names, setting_value
from suite.run.plan import expectation
from suite.run.timing.pace import kind_of, work_of
from tests.conftest import GRID
from tests.grid.test_grid import refused

Write = Callable[..., Path]

# Settings with some levels that fit the small grid. No value of theirs is fixed in it, once `bare` has removed them.
LEVELS: dict[str, list[Any]] = {
    "recipe.epochs": [1, 2, 7],
    "recipe.lr": [1e-3, 5e-4, 1],
    "recipe.train_images": [64, 128, None],
    "recipe.weight_decay": [0.0, 0.05],
    "recipe.ema_decay": [None, 0.9],
    "recipe.betas": [[0.9, 0.999], [0.9, 0.95]],
    "size.depth": [1, 2, 3],
    "size.position_std": [None, 0.02, 1.0],
    "size.norm_where": [None, "blocks", "all"],
}


def bare(*names: str) -> str:
    """The small grid without fixed values of these settings."""
    text = GRID
    for key, value in (("epochs", "2"), ("lr", "1e-3"), ("train_images", "128"), ("depth", "2")):
        if names and any(name.endswith(f".{key}") for name in names):
            text = text.replace(f"{key}: {value}, ", "").replace(f", {key}: {value}", "")
    return text


def with_axes(levels: dict[str, list[Any]], tied: dict[str, list[Any]] | None = None) -> str:
    text = bare(*levels, *(tied or {}))
    text += "".join(f"  {name}: {level_text(values)}\n" for name, values in levels.items())
    if tied:
        text += f"  zip: {{{', '.join(f'{name}: {level_text(values)}' for name, values in tied.items())}}}\n"
    return text


@st.composite
def axes(draw: st.DrawFn) -> tuple[dict[str, list[Any]], dict[str, list[Any]]]:
    """Some settings as axes of their own, and some that are tied."""
    names = draw(st.lists(st.sampled_from(sorted(LEVELS)), min_size=1, max_size=5, unique=True))
    number = draw(st.sampled_from([0, 2, 3])) if len(names) > 3 else 0
    tied = {name: LEVELS[name][:2] for name in names[:number]}
    drawn = {name: draw(st.lists(st.sampled_from(LEVELS[name]), min_size=1, unique_by=repr)) for name in names[number:]}
    return drawn, tied


@settings(max_examples=30, deadline=None)
@given(axes())
def test_a_trial_has_the_id_of_the_same_training_in_a_grid_without_axes(
    tmp_path_factory: pytest.TempPathFactory, asked: tuple[dict[str, list[Any]], dict[str, list[Any]]]
) -> None:
    levels, tied = asked
    path = tmp_path_factory.mktemp("grid") / "g.yaml"
    path.write_text(with_axes(levels, tied))
    trials = load_grid(path).expand().trials
    points = [
        {**dict(zip(levels, values, strict=True)), **dict(zip(tied, together, strict=True))}
        for values in itertools.product(*levels.values())
        for together in (zip(*tied.values(), strict=True) if tied else [()])
    ]
    assert len({trial.id for trial in trials}) == len(trials) == 2 * 2 * len(points)
    for point in (points[0], points[-1]):
        plain = load_grid(path.with_name("p.yaml").resolve() if _write_plain(path, point) else path)
        alone = plain.expand().trials
        texts = {name: level_text(value) for name, value in point.items()}
        mine = [trial for trial in trials if dict(trial.varied) == texts]
        assert [trial.id for trial in mine] == [trial.id for trial in alone]
        for one, other in zip(mine, alone, strict=True):
            assert one.seed("order", 1) == other.seed("order", 1)
            shown = {name: level_text(setting_value(SETTINGS[name], *other.settings)) for name in point}
            assert shown == texts
            assert reduced_names(texts, texts, one.recipe_name, one.arch.name) == ("inline" + _rest(point), "tiny")


def _write_plain(path: Path, point: dict[str, Any]) -> bool:
    recipe = {**_recipe(point), **{SETTINGS[n].key: v for n, v in point.items() if SETTINGS[n].of_recipe}}
    sizes = {"depth": 2, **{SETTINGS[n].key: v for n, v in point.items() if not SETTINGS[n].of_recipe}}
    lines = GRID.splitlines()
    lines[3] = f"recipe: {{{', '.join(f'{key}: {level_text(value)}' for key, value in recipe.items())}}}"
    lines[5] = lines[5].replace("depth: 2", ", ".join(f"{key}: {level_text(value)}" for key, value in sizes.items()))
    return bool(path.with_name("p.yaml").write_text("\n".join(lines)))


def _recipe(point: dict[str, Any]) -> dict[str, Any]:
    fixed = {"version": 1, "epochs": 2, "batch_size": 64, "lr": 1e-3, "train_images": 128}
    return {key: value for key, value in fixed.items() if f"recipe.{key}" not in point}


def _rest(point: dict[str, Any]) -> str:
    return "".join(f"+{key}={value}" for key, value in sorted(_recipe(point).items()))


def test_pairs_are_within_each_level_and_share_what_a_seed_draws(write_grid: Write) -> None:
    levels = {"recipe.epochs": [1, 2], "size.depth": [1, 2], "size.position_std": [0.02, 1.0]}
    trials = load_grid(write_grid(text=with_axes(levels))).expand().trials
    drawn = {
        (*(trial.varied[name] for name in levels), trial.join, trial.seed_index): trial.seed("initialisation", "x")
        for trial in trials
    }
    for (epochs, depth, std, join, seed), value in drawn.items():
        assert value == drawn[epochs, depth, std, "default" if join == "lape" else "lape", seed]
        assert value == drawn["2" if epochs == "1" else "1", depth, std, join, seed]
        assert value == drawn[epochs, depth, "1" if std == "0.02" else "0.02", join, seed]
        assert value != drawn[epochs, "2" if depth == "1" else "1", std, join, seed]
    assert SETTINGS["size.depth"].unshared
    assert SETTINGS["recipe.train_images"].unshared.startswith("batches")
    assert not SETTINGS["recipe.epochs"].unshared
    assert not SETTINGS["size.position_std"].unshared
    assert not SETTINGS["size.norm_where"].unshared


def test_a_grid_that_is_stopped_early_has_pairs_and_a_level_after_the_other(write_grid: Write) -> None:
    trials = load_grid(write_grid(text=with_axes({"recipe.epochs": [1, 2]}))).expand().trials
    assert [(t.recipe.epochs, t.join) for t in trials[:4]] == [(1, "default"), (1, "lape"), (2, "default"), (2, "lape")]
    assert [trial.label for trial in trials[:2]] == [
        "tiny learnable default ln default digits epochs=1 seed 0",
        "tiny learnable lape ln default digits epochs=1 seed 0",
    ]


def test_rules_and_expectations_know_the_levels(write_grid: Write) -> None:
    text = with_axes({"recipe.epochs": [1, 2, 4], "size.depth": [1, 2]})
    text += (
        "exclude: [{when: {recipe.epochs: 4, size.depth: [2]}, reason: too dear}]\n"
        "include: [{join: shared, recipe.epochs: 8, size.depth: 2}]\n"
        "expect: [{when: {arch: tiny, recipe.epochs: [1, 2]}, hours: 2, hardware: H, source: me}]\n"
    )
    grid = load_grid(write_grid(text=text))
    expansion = grid.expand()
    cells = {(t.join, *t.varied.values()) for t in expansion.trials}
    assert len(cells) == 2 * 5 + 1
    assert ("shared", "8", "2") in cells
    assert expansion.dropped[0].label.endswith("recipe.epochs=4 size.depth=2")
    assert expectation(expansion.trials, grid.file.expect).hours == {"H": 2 * 2 * 2 * 2 * 2.0}


def test_levels_can_be_set_from_outside(write_grid: Write) -> None:
    path = write_grid(text=with_axes({"recipe.epochs": [1, 2]}))
    assert {t.recipe.epochs for t in load_grid(path, ["axes.recipe.epochs=[3]"]).expand().trials} == {3}
    assert {t.arch.size.depth for t in load_grid(path, ["axes.size.position_std=[1]"]).expand().trials} == {2}  # type: ignore[attr-defined]


def test_time_goes_with_epochs_and_images_and_not_with_cells(write_grid: Write) -> None:
    levels = {"recipe.epochs": [1, 10], "recipe.train_images": [64, 640], "size.position_std": [0.02, 1.0]}
    trials = load_grid(write_grid(text=with_axes(levels))).expand().trials
    assert len({kind_of(trial.config).whole for trial in trials}) == 1  # measured once, whatever the level
    works = {(t.recipe.epochs, t.recipe.train_images): work_of(t) for t in trials}
    assert works[10, 640].trained == 10 * works[1, 640].trained == 100 * works[1, 64].trained
    assert works[10, 64].tested == 10 * works[1, 64].tested


def test_every_recipe_key_but_the_version_is_a_setting() -> None:
    of_recipe = {setting.key for setting in SETTINGS.values() if setting.of_recipe}
    assert of_recipe == set(Recipe.model_fields) - {"version"}
    assert {"size.depth", "size.embed_dim", "size.position_std", "size.conv_layers", "size.blocks"} <= set(SETTINGS)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("  recipe.epoch: [1, 2]\n", ["unknown key 'axes.recipe.epoch'", "'recipe.epochs'", "line 12"]),
        ("  size.deep: [1, 2]\n", ["unknown key 'axes.size.deep'", "'size.depth'"]),
        ("  recipe.version: [1, 2]\n", ["unknown key 'axes.recipe.version'"]),
        ("  recipe.warmup_epochs: [1, 2]\n", ["level recipe.warmup_epochs 2", "must be less than epochs", "line 12"]),
        ("  recipe.clip_grad: [1.0, 0]\n", ["level recipe.clip_grad 0", "above 0", "line 12"]),
        ("  recipe.flip: [maybe]\n", ["level recipe.flip maybe", "true or false"]),
        ("  recipe.epochs: [1, 2]\n", ["recipe.epochs has a fixed value, and is an axis too", "the value 2"]),
        ("  size.depth: [1, 2]\n", ["size.depth has a fixed value, and is an axis too", "line 6"]),
        ("  size.num_heads: [2, 4]\n", ["size.num_heads has a fixed value"]),
        ("  size.position_std: [0.1, 0]\n", ["level size.position_std 0", "above 0", "line 12"]),
        ("  size.blocks: [3]\n", ["level size.blocks 3", "sizes of a vit_lite"]),
        ("  recipe.weight_decay: []\n", ["axes.recipe.weight_decay can't be used", "at least 1"]),
        ("  recipe.weight_decay: [0.1, 0.1]\n", ["each level once, not 0.1 twice"]),
        ("  zip: {recipe.clip_grad: [1.0, 2.0], recipe.eps: [1e-8]}\n", ["clip_grad has 2"]),
        ("  zip: {recipe.clip_grad: [1.0, 2.0]}\n", ["two settings or more, not recipe.clip_grad"]),
        ("  zip: {recipe.clip_grad: [1.0], arch: [tiny]}\n", ["unknown key 'axes.zip.0.arch'"]),
        (
            "  recipe.eps: [1e-8]\n  zip: {recipe.clip_grad: [1.0], recipe.eps: [1e-8]}\n",
            ["each setting once, not recipe.eps twice"],
        ),
        ("exclude: [{when: {recipe.epochs: 1}, reason: no}]\n", ["recipe.epochs is no axis of this block"]),
        (
            "  recipe.clip_grad: [1.0, 2.0]\nexclude: [{when: {recipe.clip_grad: 3.0}, reason: no}]\n",
            ["recipe.clip_grad 3 is no level of this block", "one of 1, 2"],
        ),
        ("  recipe.clip_grad: [1.0, 2.0]\ninclude: [{pe: sin1d, join: lape}]\n", ["must say its recipe.clip_grad"]),
        ("  recipe.cosine_weight: [1.0, 2.0]\n", ["cosine_weight of the recipe has no effect"]),
        ("  recipe.batch_size: [64]\n", ["recipe.batch_size has a fixed value"]),
    ],
)  # fmt: skip
def test_what_is_refused(write_grid: Write, text: str, told: list[str]) -> None:
    message = refused(write_grid(text=GRID + text))
    for part in told:
        assert part in message


def test_all_bad_levels_are_told_at_once_and_a_fixed_value_from_outside_too(write_grid: Write) -> None:
    path = write_grid(text=with_axes({"recipe.epochs": [0, 2, -1]}))
    message = refused(path)
    assert "level recipe.epochs 0" in message
    assert "level recipe.epochs -1" in message
    assert "level recipe.epochs 2" not in message
    path = write_grid(text=with_axes({"recipe.epochs": [1, 2]}))
    assert "where:      --set recipe.epochs=5" in refused(path, "recipe.epochs=5")


def test_what_is_wrong_whatever_the_level_is_told_once_at_its_key(write_grid: Write) -> None:
    text = with_axes({"recipe.lr": [1e-3, 1e-4, 0]}).replace("batch_size: 64", "batch_size: 7, mixup: 0.8")
    message = refused(write_grid(text=text))
    assert message.count("an even batch_size") == 1
    assert "small.yaml, line 4" in message
    assert message.count("level recipe.lr") == 1  # the level that is wrong itself
    assert "level recipe.lr 0" in message
    path = write_grid(text=with_axes({"recipe.lr": [1e-3, 1e-4]}))
    with pytest.raises(InputError) as caught:
        load_grid(path, ("recipe.batch_size=0",)).expand()
    (problem,) = caught.value.problems
    assert problem.where == "--set recipe.batch_size=0"


def test_too_many_levels_are_counted_before_they_are_expanded(write_grid: Write) -> None:
    levels = {"recipe.epochs": list(range(1, 1001)), "recipe.lr": [0.1 / number for number in range(1, 301)]}
    assert "too many trials" in refused(write_grid(text=with_axes(levels)))


def test_an_architecture_without_its_size_needs_the_axis_in_each_block(write_grid: Write) -> None:
    axes = "arch: [tiny], pe: [learnable], join: [default], dataset: [digits]"
    text = bare(".depth")
    text = text[: text.index("axes:")] + f"blocks: [{{axes: {{{axes}, size.depth: [1]}}}}, {{axes: {{{axes}}}}}]\n"
    assert "architecture 'tiny' has no depth in this block" in refused(write_grid(text=text))


SHA = {name: hashlib.sha256(name.encode()).hexdigest() for name in ("default", "lape")}


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ({"axis": "join", "weights": SHA}, f"join default={SHA['default'][:8]} lape={SHA['lape'][:8]}"),
        (
            {"weights": dict(reversed(SHA.items())), "axis": "join"},
            f"join default={SHA['default'][:8]} lape={SHA['lape'][:8]}",
        ),
        (SHA["lape"], SHA["lape"][:8]),
        ({"severities": [1, 5], "images": None}, "{images: null, severities: [1, 5]}"),
        ("ab" * 31, "ab" * 31),
        ({"b": 1, 2: {"axis": None, "weights": {1: 2, "a": None}}}, "{2: null 1=2 a=null, b: 1}"),
    ],
)
def test_levels_with_checksums_have_a_short_text(value: Any, text: str) -> None:
    """The same for each order of the keys: a record has them sorted."""
    assert level_text(value) == text


def test_pretrained_weights_as_an_axis_have_a_short_level(write_grid: Write) -> None:
    """In names of recipes and in levels, whether an axis gives them or the recipe. The trials are the same."""
    weights = [{"axis": "join", "weights": {**SHA, "lape": lape}} for lape in SHA.values()]
    varied = load_grid(write_grid(text=f"{GRID}  recipe.pretrained: {json.dumps(weights)}\n")).expand().trials
    told = [f"join default={SHA['default'][:8]} lape={one['weights']['lape'][:8]}" for one in weights]
    names = [trial.recipe_name for trial in varied]
    assert all(any(f"+pretrained={text}+" in name for name in names) for text in told)
    assert {level_text(setting_value(SETTINGS["recipe.pretrained"], *trial.settings)) for trial in varied} == set(told)
    fixed = load_grid(write_grid(("train_images: 128", f"train_images: 128, pretrained: {json.dumps(weights[0])}")))
    assert all(told[0] in trial.recipe_name for trial in fixed.expand().trials)
    assert {trial.id for trial in fixed.expand().trials} < {trial.id for trial in varied}
