"""The settings of lists on the command line, in the checksum and in a data set."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from suite.data.datasets import TOKEN_MEAN, TOKEN_STD, Dataset
from suite.data.listops.settings import ListOps, parse_listops
from suite.errors import InputError

TEXT = "seed=3,min_length=5,max_length=40,train=60,test=20"


def test_options_and_settings_are_inverse():
    settings = parse_listops(f"{TEXT},depth=4,arguments=5")
    assert (settings.seed, settings.depth, settings.longest) == (3, 4, 187)
    assert parse_listops(settings.options.removeprefix("--listops ")) == settings
    unseeded = parse_listops(TEXT.removeprefix("seed=3,"))
    assert parse_listops(unseeded.options.removeprefix("--listops ")) == unseeded
    assert unseeded.depth == unseeded.arguments == 10


def test_each_setting_is_in_the_checksum():
    settings = parse_listops(TEXT)
    changed = [ListOps.model_validate({**dict(settings), key: getattr(settings, key) + 1}) for key in dict(settings)]
    assert len({one.checksum("a" * 64) for one in (settings, *changed)}) == 1 + len(dict(settings))
    assert settings.checksum("a" * 64) != settings.checksum("b" * 64)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", "''"),
        ("seed", "'seed'"),
        (f"{TEXT},seed=1", "seed twice"),
        (f"{TEXT},length=1", "an unknown key 'length'"),
        (TEXT.replace("train=60,", ""), "no train"),
        (TEXT.replace("seed=3", "seed=-1"), "seed=-1"),
        (TEXT.replace("max_length=40", "max_length=4097"), "max_length=4097"),
        (f"{TEXT},depth=1", "depth=1"),
        (TEXT.replace("60", "6e1"), "'train=6e1'"),
    ],
)
def test_what_cannot_be_used(text, found):
    with pytest.raises(InputError) as caught:
        parse_listops(text)
    (problem,) = caught.value.problems
    assert found in problem.found
    assert problem.where == f"--listops {text}"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (TEXT.replace("max_length=40", "max_length=6"), "max_length of at least min_length + 2"),
        ("seed=3,min_length=1,max_length=4,train=1,test=1", "max_length of at least 5"),
        (f"{TEXT},depth=2,arguments=3", "min_length below 5"),
        (TEXT.replace("train=60", "train=9999999").replace("=40", "=4096"), "of at most 2,147,483,648"),
    ],
)
def test_what_does_not_fit_together(text, expected):
    with pytest.raises(InputError) as caught:
        parse_listops(text)
    (problem,) = caught.value.problems
    assert expected in problem.expected
    assert problem.found == text
    assert problem.where == f"--listops {text}"


def test_a_data_set_has_the_form_of_its_lists():
    settings = parse_listops(TEXT)
    facts = {
        "name": "lists", "num_classes": 10, "image_size": 40, "channels": 1, "train_images": 60, "test_images": 20,
        "mean": TOKEN_MEAN, "std": TOKEN_STD, "checksum": "0" * 64, "listops": settings,
    }  # fmt: skip
    dataset = Dataset.model_validate(facts)
    assert (dataset.shape, dataset.generated) == ((1, 1, 40), True)
    assert dataset.summary == "60 + 20 lists, 40 tokens, 10 classes"
    assert Dataset.model_validate_json(dataset.model_dump_json()) == dataset
    for change in (
        {"image_size": 41}, {"num_classes": 9}, {"train_images": 61}, {"test_images": 21}, {"std": (0.004,)},
        {"storage": "folder"}, {"channels": 3, "mean": (0, 0, 0), "std": (1, 1, 1)},
    ):  # fmt: skip
        with pytest.raises(ValidationError):
            Dataset.model_validate({**facts, **change})


def test_a_data_set_of_images_is_written_as_before_there_were_lists():
    images = Dataset(
        name="mine", num_classes=2, image_size=8, channels=1, train_images=1, test_images=1, mean=(0.5,), std=(0.5,),
        checksum="0" * 64,
    )  # fmt: skip
    assert not {"sound", "listops"} & images.model_dump().keys()
    assert (images.shape, images.generated) == ((1, 8, 8), False)
