"""Which corruptions a recipe asks for."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from suite.data.corruptions.settings import KINDS, Corruptions, check_corruptible, parse_corruptions
from suite.data.datasets import DATASETS, Dataset
from suite.errors import InputError
from suite.grid.grid import load_grid
from tests.corrupted import CORRUPTIONS, grid_text, prepare_pictures

Write = Callable[..., Path]


def test_the_same_choice_is_the_same_however_it_is_written() -> None:
    one = Corruptions.model_validate({"kinds": ["fog", "snow"], "severities": [5, 1]})
    assert one.sets == (("snow", 1), ("snow", 5), ("fog", 1), ("fog", 5))
    assert one == parse_corruptions("severities=1+5,kinds=snow+fog")
    assert parse_corruptions("all") == Corruptions()
    assert Corruptions().copies == 75
    assert len(KINDS) == 15


@pytest.mark.parametrize(
    ("corruptions", "told"),
    [
        ("{kinds: [frogg]}", "did you mean 'fog'?"),
        ("{severities: [0]}", "severities from 1 to 5, and not 0"),
        ("{severities: [1, 6]}", "severities from 1 to 5, and not 6"),
        ("{kinds: [fog, fog]}", "each name once"),
        ("{kinds: []}", "kinds"),
        ("{images: 21}", "the recipe's corruptions.images doesn't fit the data set pictures"),
        ("{images: 1}", "from 2 to 20"),
        ("heavy", "corruptions"),
    ],
)
def test_settings_that_cant_be_are_refused(tmp_path: Path, write_grid: Write, corruptions: str, told: str) -> None:
    text = grid_text(prepare_pictures(tmp_path).checksum, corruptions)
    with pytest.raises(InputError) as caught:
        load_grid(write_grid(text=text)).expand()
    (problem,) = caught.value.problems
    assert told in str(problem)
    assert "small.yaml" in problem.where


def test_images_that_are_too_small_are_refused_with_the_grid(write_grid: Write) -> None:
    with pytest.raises(InputError, match="the images of digits are too small to corrupt") as caught:
        load_grid(write_grid(("train_images: 128", "train_images: 128, corruptions: {}"))).expand()
    assert "8 × 8 pixels" in str(caught.value)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", "''"),
        ("fog", "'fog'"),
        ("kinds=frogg", "kinds=['frogg']"),
        ("severities=6", "severities=[6]"),
        ("images=some", "'images=some'"),
        ("colour=1", "an unknown key 'colour'"),
    ],
)
def test_an_option_that_cant_be_is_refused(text: str, found: str) -> None:
    with pytest.raises(InputError, match="settings of corruptions that can't be used") as caught:
        parse_corruptions(text)
    (problem,) = caught.value.problems
    assert problem.where == f"--corruptions {text}"
    assert problem.found == found


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"segmentation": {"classes": 10, "train": "train", "test": "val"}}, "a mask of classes (task segmentation)"),
        (
            {"num_classes": 1, "regions": {"train": "train", "test": "test", "annotators": 2}},
            "regions that people drew (task grouping)",
        ),
        (
            {
                "channels": 1, "mean": (0.5,), "std": (0.2,),
                "sound": {
                    "sample_rate": 8000, "window": 128, "hop": 64, "mel_bands": 32, "frames": 32, "split": "folders",
                },
            },
            "spectrograms",
        ),
    ],
)  # fmt: skip
def test_masks_regions_and_spectrograms_are_not_corrupted(changes: dict[str, object], told: str) -> None:
    """They are refused before any copy is made."""
    facts = DATASETS["cifar10"].model_dump(exclude={"sound", "listops", "segmentation", "regions"})
    with pytest.raises(InputError) as caught:
        check_corruptible(Dataset.model_validate({**facts, **changes}))
    assert told in str(caught.value)
    assert "leave corruptions out" in str(caught.value)


def test_without_the_key_a_trial_has_the_id_that_it_had(write_grid: Write, tmp_path: Path) -> None:
    text = grid_text(prepare_pictures(tmp_path).checksum)
    asked = load_grid(write_grid(text=text)).expand().trials[0]
    without = load_grid(write_grid((f", corruptions: {CORRUPTIONS}", ""), text=text)).expand().trials[0]
    assert "corruptions" not in without.config["recipe"]
    assert asked.id != without.id
    assert asked.seed("order", 0) == without.seed("order", 0)  # the training is the same
