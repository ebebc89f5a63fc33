"""The registered facts."""

from __future__ import annotations

from pathlib import Path

import pytest
import timm
from pydantic import ValidationError

from suite.data.datasets import DATASETS, Dataset
from suite.data.index import classes_checksum
from suite.errors import InputError


@pytest.mark.parametrize("name", ["digits", "fashion_mnist", "cifar10", "cifar100"])
def test_facts_fit_together(name):
    dataset = DATASETS[name]
    assert dataset.name == name
    assert dataset.storage == "arrays"
    assert len(dataset.mean) == len(dataset.std) == dataset.channels
    assert dataset.source


def test_imagenet_is_known_by_its_classes():
    dataset = DATASETS["imagenet1k"]
    assert (dataset.storage, dataset.checksum_of) == ("folder", "classes")
    names = (Path(timm.__file__).parent / "data/_info/imagenet_synsets.txt").read_text().split()
    assert len(names) == dataset.num_classes
    counts = {"train": 1_281_167, "test": 50_000}
    assert counts == {"train": dataset.train_images, "test": dataset.test_images}
    assert classes_checksum(sorted(names), counts, 224, 3) == dataset.checksum


def test_only_a_folder_has_a_checksum_of_classes():
    facts = DATASETS["digits"].model_dump()
    with pytest.raises(ValidationError, match="storage: folder for a checksum of classes"):
        Dataset.model_validate({**facts, "checksum_of": "classes"})


def test_checksums_differ():
    assert len({dataset.checksum for dataset in DATASETS.values()}) == len(DATASETS)


def test_an_unknown_name_gives_the_nearest():
    with pytest.raises(InputError, match="did you mean 'cifar100'"):
        DATASETS["cifar_100"]
