"""Preparing the built-in data sets from all their sources."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import pickle
import shutil
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
from PIL import Image

from suite.data.arrays import Split, arrays_checksum, canonical_order, measure
from suite.data.cache import load_index, load_split, verify
from suite.data.datasets import DATASETS, Dataset
from suite.data.images import load_images
from suite.data.index import Index, classes_checksum, read_index, write_index
from suite.data.inventory import list_prepared
from suite.data.preparation import prepare
from suite.data.sources import read_digits
from suite.errors import InputError
from tests.data.drawings import CLASSES, change_in_secret

DEBIAN_FASHION = Path("/usr/share/datasets/fashion-mnist")


def refused(name: str, **options: object):
    with pytest.raises(InputError) as caught:
        prepare(name, **options)
    (problem,) = caught.value.problems
    assert problem.what
    assert problem.fix
    return problem


def write_images(folder: Path, splits: dict[str, Split], classes: list[str]) -> Path:
    """An image folder with numbered PNGs."""
    for split, part in splits.items():
        for name in classes:
            (folder / split / name).mkdir(parents=True)
        for number, (image, label) in enumerate(zip(part.images, part.labels, strict=True)):
            pixels = image[..., 0] if image.shape[-1] == 1 else image
            Image.fromarray(pixels).save(folder / split / classes[label] / f"{number:05}.png")
    return folder


def test_digits_are_those_of_scikit_learn(data_folder):
    from sklearn.datasets import load_digits

    dataset = DATASETS["digits"]
    parts = [load_split(dataset, split, data_folder) for split in ("train", "test")]
    original = load_digits()
    ours = sorted(
        (image.tobytes(), label) for part in parts for image, label in zip(part.images, part.labels, strict=True)
    )
    theirs = [
        (bytes(round(value * 255 / 16) for value in image.flat), label)
        for image, label in zip(original.images, original.target, strict=True)
    ]
    assert ours == sorted(theirs)
    for label in range(10):
        train, test = (int((part.labels == label).sum()) for part in parts)
        assert train == 2 * (train + test) // 3


def test_digits_from_an_image_folder_are_the_same_data_set(tmp_path):
    classes = [str(label) for label in range(10)]
    folder = write_images(tmp_path / "folder", read_digits(), classes)
    assert prepare("digits", root=tmp_path / "cache", source=folder) == DATASETS["digits"]
    one = next((folder / "train" / "3").iterdir())
    one.rename(folder / "train" / "8" / "moved.png")
    problem = refused("digits", root=tmp_path / "cache2", source=folder)
    assert DATASETS["digits"].checksum in problem.expected
    assert "train 1195 images of 8x8x1" in problem.found
    assert not (tmp_path / "cache2" / "digits").exists()


def test_registered_constants_of_digits_are_measured():
    assert measure(read_digits()["train"].images) == (DATASETS["digits"].mean, DATASETS["digits"].std)


@pytest.mark.skipif(not DEBIAN_FASHION.is_dir(), reason="Debian's package dataset-fashion-mnist is not installed")
def test_fashion_mnist_from_its_files(tmp_path):
    dataset = prepare("fashion_mnist", root=tmp_path / "cache", source=DEBIAN_FASHION)
    assert dataset == DATASETS["fashion_mnist"]
    train = load_split(dataset, "train", tmp_path / "cache")
    assert np.bincount(train.labels).tolist() == [6000] * 10
    np.testing.assert_allclose(train.images.mean() / 255, dataset.mean[0], atol=5e-5)
    np.testing.assert_allclose(train.images.std() / 255, dataset.std[0], atol=5e-5)


@pytest.mark.parametrize("damage", ["cut", "missing", "not gzip", "another header"])
def test_damaged_files_of_fashion_mnist(damage, tmp_path):
    names = [f"{split}-{kind}-ubyte" for split in ("train", "t10k") for kind in ("images-idx3", "labels-idx1")]
    for name in names:
        shape = (5, 28, 28) if "images" in name else (5,)
        header = bytes([0, 0, 8, len(shape)]) + b"".join(side.to_bytes(4, "big") for side in shape)
        (tmp_path / name).write_bytes(header + bytes(int(np.prod(shape))))
    path = tmp_path / names[3]
    if damage == "cut":
        path.write_bytes(path.read_bytes()[:-1])
    elif damage == "another header":
        path.write_bytes(b"PNG!" + path.read_bytes())
    else:
        path.unlink()
        if damage == "not gzip":
            path.with_name(path.name + ".gz").write_bytes(b"not gzip at all")
    assert refused("fashion_mnist", root=tmp_path / "cache", source=tmp_path).where == str(path)


def test_whole_files_of_another_data_set_are_refused(tmp_path):
    for split, count in (("train", 6), ("t10k", 3)):
        for kind, shape in (("images-idx3", (count, 28, 28)), ("labels-idx1", (count,))):
            header = bytes([0, 0, 8, len(shape)]) + b"".join(side.to_bytes(4, "big") for side in shape)
            (tmp_path / f"{split}-{kind}-ubyte").write_bytes(header + bytes(int(np.prod(shape))))
    problem = refused("fashion_mnist", root=tmp_path / "cache", source=tmp_path)
    assert "train 60000 images of 28x28x1" in problem.expected
    assert "train 6 images of 28x28x1" in problem.found


def test_a_download_that_fails_says_what_to_do(tmp_path, monkeypatch):
    import torchvision.datasets

    monkeypatch.setattr(torchvision.datasets.CIFAR10, "url", "http://127.0.0.1:9/cifar-10-python.tar.gz")
    problem = refused("cifar10", root=tmp_path / "cache")
    assert problem.where == "http://127.0.0.1:9/cifar-10-python.tar.gz"
    assert "lape data prepare cifar10 --from PATH" in problem.fix
    assert os.listdir(tmp_path / "cache") == []


def test_damaged_cifar_files_are_not_unpickled(tmp_path):
    (tmp_path / "cifar-10-batches-py").mkdir()
    (tmp_path / "cifar-10-batches-py" / "data_batch_1").write_bytes(b"cos\nsystem\n(S'false'\ntR.")
    problem = refused("cifar10", root=tmp_path / "cache", source=tmp_path)
    assert "MD5" in problem.expected
    assert problem.where == str(tmp_path / "cifar-10-batches-py")


def bundle(shared: Path) -> ModuleType:
    """The reader of the CIFAR arrays that lie outside of the project."""
    path = shared / "data" / "unpack.py"
    if not path.is_file():
        pytest.skip(f"no {path}")
    spec = importlib.util.spec_from_file_location("unpack", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_a_part_of_cifar10_as_an_image_folder(shared, tmp_path):
    reader = bundle(shared)
    classes = json.loads((shared / "data" / "index.json").read_text())["cifar10"]["classes"]
    images, labels = reader.read_split("cifar10", "test")
    part = {"train": Split(images[:300], labels[:300]), "test": Split(images[300:450], labels[300:450])}
    folder = write_images(tmp_path / "cifar", part, classes)
    dataset = prepare("cifar_part", root=tmp_path / "cache", source=folder)
    assert (dataset.num_classes, dataset.image_size, dataset.channels) == (10, 32, 3)
    for name, split in part.items():
        ours, theirs = load_split(dataset, name, tmp_path / "cache"), split.take(canonical_order(split))
        np.testing.assert_array_equal(ours.images, theirs.images)
        np.testing.assert_array_equal(ours.labels, theirs.labels)
    assert "SHA-256 " + dataset.checksum in refused("cifar10", root=tmp_path / "cache", source=folder).found


@pytest.mark.slow
@pytest.mark.parametrize("name", ["cifar10", "cifar100"])
def test_the_registered_checksum_is_that_of_the_whole_data_set(name, shared):
    reader = bundle(shared)
    splits = {split: Split(*reader.read_split(name, split)) for split in ("train", "test")}
    ordered = {split: part.take(canonical_order(part)) for split, part in splits.items()}
    assert arrays_checksum(ordered) == DATASETS[name].checksum
    mean, std = measure(splits["train"].images)  # the published constants of CIFAR-100 differ in the last digit
    np.testing.assert_allclose((mean, std), (DATASETS[name].mean, DATASETS[name].std), atol=2.1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["cifar10", "cifar100"])
def test_whole_cifar_from_python_batches(name, shared, tmp_path, monkeypatch):
    """The original's format, with the original's images in another order (so with other MD5 sums)."""
    import torchvision.datasets

    reader = bundle(shared)
    kind = {"cifar10": torchvision.datasets.CIFAR10, "cifar100": torchvision.datasets.CIFAR100}[name]
    folder = tmp_path / kind.base_folder
    folder.mkdir()
    key = "labels" if name == "cifar10" else "fine_labels"
    for split, entries in (("train", "train_list"), ("test", "test_list")):
        images, labels = reader.read_split(name, split)
        names = [file for file, _ in getattr(kind, entries)]
        known = []
        for file, rows in zip(names, np.array_split(np.arange(len(images)), len(names)), strict=True):
            data = pickle.dumps(
                {"data": images[rows].transpose(0, 3, 1, 2).reshape(len(rows), -1), key: labels[rows].tolist()}
            )
            (folder / file).write_bytes(data)
            known.append([file, hashlib.md5(data).hexdigest()])
        monkeypatch.setattr(kind, entries, known)
    meta = pickle.dumps({kind.meta["key"]: json.loads((shared / "data" / "index.json").read_text())[name]["classes"]})
    (folder / kind.meta["filename"]).write_bytes(meta)
    monkeypatch.setattr(kind, "meta", {**kind.meta, "md5": hashlib.md5(meta).hexdigest()})
    assert prepare(name, root=tmp_path / "cache", source=tmp_path) == DATASETS[name]


@pytest.fixture
def known_by_its_classes(monkeypatch):
    """A built-in data set like ImageNet, as small as `write_tree`'s pictures."""
    facts = {"name": "drawings", "num_classes": 3, "image_size": 8, "channels": 3, "train_images": 12, "test_images": 6}
    checksum = classes_checksum(sorted(CLASSES), {"train": 12, "test": 6}, 8, 3)
    dataset = Dataset(
        **facts, mean=(0.5,) * 3, std=(0.5,) * 3, checksum=checksum, storage="folder", checksum_of="classes"
    )
    for module in ("preparation", "cache", "inventory"):
        monkeypatch.setattr(f"suite.data.{module}.DATASETS", {"drawings": dataset})
    return dataset


def test_a_folder_that_is_known_by_its_classes(known_by_its_classes, write_tree, tmp_path):
    root, folder = tmp_path / "cache", write_tree(test_name="val", size=(20, 13))
    assert prepare("drawings", root=root, source=folder) == known_by_its_classes
    images = load_images(known_by_its_classes, "train", root)
    assert images.batch(torch.arange(12)).shape == (12, 3, 8, 8)
    (listed,) = list_prepared(root)
    assert listed.prepared
    assert listed.builtin

    index = root / "drawings" / "train.parquet"
    rows = read_index(index).rows
    write_index(index, Index(sorted(replace(row, label=(row.label + 1) % 3) for row in rows)))
    with pytest.raises(InputError, match="damaged on disk") as caught:
        verify(known_by_its_classes, root)
    assert caught.value.problems[0].expected.startswith("files of SHA-256")
    assert f"lape data prepare drawings --from {folder}" in caught.value.problems[0].fix


def test_its_images_are_read_again_when_it_is_asked_for_again(known_by_its_classes, write_tree, tmp_path):
    root, folder = tmp_path / "cache", write_tree(suffix=".bmp", size=(20, 13))
    prepare("drawings", root=root, source=folder)
    path = folder / load_index(known_by_its_classes, "train", root).rows[0].path
    change_in_secret(path)
    assert refused("drawings", root=root).where == str(path)
    assert prepare("drawings", root=root, source=folder) == known_by_its_classes
    assert prepare("drawings", root=root) == known_by_its_classes
    assert load_images(known_by_its_classes, "train", root).batch(torch.arange(12)).shape == (12, 3, 8, 8)


@pytest.mark.parametrize("change", [{"train": 5}, {"classes": ("disc", "square")}, {"test": 1}])
def test_a_folder_with_other_classes_or_numbers_is_another(known_by_its_classes, write_tree, tmp_path, change):
    problem = refused("drawings", root=tmp_path / "cache", source=write_tree(**change))
    assert "this folder is not the data set 'drawings'" in problem.what
    assert known_by_its_classes.checksum in problem.expected
    assert not (tmp_path / "cache" / "drawings").exists()


def test_it_is_never_downloaded_nor_read_from_an_archive(known_by_its_classes, write_tree, tmp_path):
    assert refused("drawings", root=tmp_path / "cache").found == "no --from"
    archive = shutil.make_archive(str(tmp_path / "drawings"), "zip", write_tree())
    assert refused("drawings", root=tmp_path / "cache", source=Path(archive)).found == "an archive"
    for options in ({"storage": "arrays"}, {"image_size": 9}):
        assert "stored as a folder" in refused("drawings", root=tmp_path / "cache", **options).expected
