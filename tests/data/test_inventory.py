"""The list of the data sets: what is prepared, what isn't whole, and what could be prepared."""

from __future__ import annotations

import numpy as np
import pytest

from suite.data import inventory
from suite.data.cache import verify
from suite.data.datasets import DATASETS
from suite.data.inventory import list_prepared
from suite.data.preparation import prepare
from suite.errors import InputError

DIGITS = DATASETS["digits"]


def test_the_list_names_what_is_there_and_what_could_be(root, write_tree):
    prepare("drawings", root=root, source=write_tree())
    listed = {entry.name: entry for entry in list_prepared(root)}
    assert list(listed) == ["digits", "fashion_mnist", "cifar10", "cifar100", "imagenet1k", "drawings"]
    assert [entry.prepared for entry in listed.values()] == [True, False, False, False, False, True]
    assert [entry.builtin for entry in listed.values()] == [True, True, True, True, True, False]
    assert 1797 * (64 + 8) < listed["digits"].size < 1797 * (64 + 8) + 4000
    assert listed["digits"].dataset == DIGITS
    assert (listed["digits"].note, listed["cifar10"].note) == ("", "run lape data prepare cifar10")
    assert listed["imagenet1k"].note == "run lape data prepare imagenet1k --from PATH"
    assert listed["drawings"].dataset is not None
    assert (listed["drawings"].dataset.train_images, listed["drawings"].dataset.test_images) == (12, 6)


def test_the_list_survives_damage_and_a_missing_cache(root, tmp_path):
    (root / "digits" / "meta.json").write_text("{")
    assert list_prepared(root)[0].note == "damaged; prepare it again: lape data prepare digits"
    assert not any(entry.prepared for entry in list_prepared(tmp_path / "nowhere"))


@pytest.mark.parametrize("damage", ["missing", "empty", "text", "objects", "fewer"])
def test_the_list_knows_damaged_arrays(damage, root):
    path = root / "digits" / "test-labels.npy"
    labels = np.load(path)
    if damage == "missing":
        path.unlink()
    elif damage in ("empty", "text"):
        path.write_text("no array" if damage == "text" else "")
    else:
        np.save(path, labels[:-1] if damage == "fewer" else labels.astype(object))
    (listed,) = (entry for entry in list_prepared(root) if entry.name == "digits")
    assert (listed.prepared, listed.note) == (False, "damaged; prepare it again: lape data prepare digits")
    with pytest.raises(InputError) as caught:
        verify(DIGITS, root)
    assert "pickle" not in str(caught.value)


@pytest.mark.parametrize("damage", ["cut", "missing", "moved"])
def test_the_list_knows_images_of_a_folder_that_are_not_as_they_were(damage, root, write_tree, tmp_path):
    folder = write_tree()
    prepare("drawings", root=root, source=folder, storage="folder")
    assert list_prepared(root)[-1].prepared
    path = folder / "train" / "disc" / "2.png"
    if damage == "cut":
        path.write_bytes(path.read_bytes()[:-9])
    elif damage == "missing":
        path.unlink()
    else:
        folder.rename(tmp_path / "elsewhere")
    listed = list_prepared(root)[-1]
    assert (listed.name, listed.prepared, listed.damaged) == ("drawings", False, True)
    assert listed.note.startswith(
        "an image was changed since its data set was prepared: "
        if damage == "cut"
        else "an image of a prepared data set can't be read: "
    )
    assert str(folder / "train") in listed.note
    assert "back, or run: lape data prepare drawings --from " in listed.note


def test_only_what_was_prepared_can_be_damaged(root):
    (root / "digits" / "meta.json").write_text("{")
    assert [entry.name for entry in list_prepared(root) if entry.damaged] == ["digits"]


@pytest.mark.parametrize(("most", "steps"), [(18, 1), (17, 2), (4, 5)])
def test_of_a_large_folder_some_images_are_looked_at(most, steps, root, write_tree, monkeypatch):
    """So that the list of a folder of a million images comes soon."""
    prepare("drawings", root=root, source=write_tree(), storage="folder")
    looked, real = [], inventory.check_files
    monkeypatch.setattr(
        inventory, "check_files", lambda folder, rows, fix: looked.extend(rows) or real(folder, rows, fix)
    )
    monkeypatch.setattr(inventory, "LISTED_IMAGES", most)
    assert list_prepared(root)[-1].prepared
    assert len(looked) == len(range(0, 18, steps))
