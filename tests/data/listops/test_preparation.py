"""A data set of lists in the cache."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from suite.data.cache import verify
from suite.data.images import load_images
from suite.data.listops.preparation import prepare_lists
from suite.data.listops.settings import SYMBOLS, parse_listops
from suite.errors import InputError
from suite.train.augmentation.pipeline import Normalise

SETTINGS = parse_listops("seed=1,min_length=4,max_length=20,train=60,test=20")


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return tmp_path_factory.mktemp("data")


def test_lists_are_kept_and_read_as_sequences_of_tokens(root):
    dataset = prepare_lists("lists", SETTINGS, root=root)
    file = root / "lists" / "train-images.npy"
    made = file.stat().st_mtime_ns
    assert prepare_lists("lists", SETTINGS, root=root) == dataset
    assert file.stat().st_mtime_ns == made  # not made again
    images = load_images(dataset, "train", root)
    assert images.shape == dataset.shape == (1, 1, 20)
    batch = images.batch(torch.arange(60))
    tokens = Normalise(dataset.mean, dataset.std, torch.device("cpu"))(batch)
    assert torch.equal(tokens, batch.float())  # exactly
    assert int(batch.max()) < len(SYMBOLS)


def test_a_damaged_cache_is_told_and_mended(root):
    dataset = prepare_lists("damaged", SETTINGS, root=root)
    file = root / "damaged" / "test-images.npy"
    lists = np.load(file)
    lists[0, 0, 0, 0] ^= 1
    np.save(file, lists)
    with pytest.raises(InputError, match="damaged on disk") as caught:
        verify(dataset, root)
    assert caught.value.problems[0].fix == f"prepare it again: lape data prepare damaged {SETTINGS.options}"
    assert prepare_lists("damaged", SETTINGS, root=root) == dataset
    verify(dataset, root)
    (root / "damaged" / "meta.json").write_text("{", encoding="utf-8")
    assert prepare_lists("damaged", SETTINGS, root=root) == dataset


def test_lists_of_files_have_no_seed(root, tmp_path):
    settings = parse_listops("min_length=1,max_length=6,train=2,test=1")
    for name, lines in (("train", ["[MAX 1 2 ]\t2", "[SM 9 3 ]\t2"]), ("test", ["[MIN 1 2 ]\t1"])):
        (tmp_path / f"basic_{name}.tsv").write_text("\n".join(["Source\tTarget", *lines]), encoding="utf-8")
    dataset = prepare_lists("files", settings, root=root, source=tmp_path)
    assert not dataset.generated
    assert dataset.source == f"lists of {tmp_path.name}"
    with pytest.raises(InputError, match="a seed or --from, and not both"):
        prepare_lists("files", SETTINGS, root=root, source=tmp_path)
    with pytest.raises(InputError, match="a seed, to generate lists"):
        prepare_lists("files", settings, root=root)
    for name, message in (("digits", "a new name"), ("Files", "a name that no data set can have")):
        with pytest.raises(InputError, match=message):
            prepare_lists(name, SETTINGS, root=root)
