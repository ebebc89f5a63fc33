"""The registered facts."""

from __future__ import annotations

import pytest

from suite.data.datasets import DATASETS
from suite.errors import InputError


@pytest.mark.parametrize("name", ["digits", "fashion_mnist", "cifar10", "cifar100"])
def test_facts_fit_together(name):
    dataset = DATASETS[name]
    assert dataset.name == name
    assert dataset.storage == "arrays"
    assert len(dataset.mean) == len(dataset.std) == dataset.channels
    assert dataset.source


def test_checksums_differ():
    assert len({dataset.checksum for dataset in DATASETS.values()}) == len(DATASETS)


def test_an_unknown_name_gives_the_nearest():
    with pytest.raises(InputError, match="did you mean 'cifar100'"):
        DATASETS["cifar_100"]
