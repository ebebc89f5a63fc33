"""Preparing image folders and archives of the user's own."""

from __future__ import annotations

import hashlib
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from ruamel.yaml import YAML

from suite.data.cache import load_index, load_meta, load_split, verify
from suite.data.datasets import Dataset
from suite.data.preparation import declaration, prepare
from suite.errors import InputError
from tests.data.drawings import drawing


def refused(name: str, **options: object):
    with pytest.raises(InputError) as caught:
        prepare(name, **options)
    (problem,) = caught.value.problems
    assert problem.what
    assert problem.fix
    return problem


def test_an_image_folder_becomes_arrays(write_tree, tmp_path):
    folder = write_tree()
    dataset = prepare("drawings", root=tmp_path / "cache", source=folder)
    facts = dataset.model_dump(exclude={"checksum", "mean", "std"})
    assert facts == {
        "name": "drawings",
        "num_classes": 3,
        "image_size": 12,
        "channels": 3,
        "train_images": 12,
        "test_images": 6,
        "storage": "arrays",
        "checksum_of": "images",
        "source": "image folder pictures",
    }
    train = load_split(dataset, "train", tmp_path / "cache")
    assert train.images.shape == (12, 12, 12, 3)
    files = {np.asarray(Image.open(path)).tobytes(): path.parent.name for path in folder.glob("train/*/*")}
    classes = load_meta("drawings", tmp_path / "cache").classes
    assert {image.tobytes(): classes[label] for image, label in zip(train.images, train.labels, strict=True)} == files
    np.testing.assert_allclose(dataset.mean, train.images.mean((0, 1, 2)) / 255, atol=1e-4)
    np.testing.assert_allclose(dataset.std, train.images.std((0, 1, 2)) / 255, atol=1e-4)


def test_names_orders_formats_and_archives_make_no_difference(write_tree, tmp_path):
    first = write_tree()
    second = write_tree("others", suffix=".bmp", test_name="val")
    for number, path in enumerate(
        sorted(second.glob("*/*/*"), key=lambda path: hashlib.sha1(path.read_bytes()).digest())
    ):
        path.rename(path.with_name(f"{number:03}.bmp"))
    sources = [first, second]
    for kind in ("zip", "gztar"):
        sources.append(Path(shutil.make_archive(str(tmp_path / kind), kind, tmp_path, "pictures")))
    roots = [tmp_path / f"cache{number}" for number in range(len(sources))]
    sets = [prepare("drawings", root=root, source=source) for root, source in zip(roots, sources, strict=True)]
    assert len({(dataset.checksum, dataset.mean, dataset.std) for dataset in sets}) == 1
    for cache in roots:
        assert os.listdir(cache) == ["drawings"]  # nothing temporary stays
        for file in ("train-images.npy", "train-labels.npy", "test-images.npy", "test-labels.npy"):
            assert (cache / "drawings" / file).read_bytes() == (roots[0] / "drawings" / file).read_bytes()


def test_a_grey_folder_has_one_channel_and_one_coloured_image_makes_three(write_tree, tmp_path):
    folder = write_tree(mode="L")
    assert prepare("drawings", root=tmp_path / "cache", source=folder).channels == 1
    drawing("disc", 90).save(folder / "test" / "disc" / "1000.png")
    assert prepare("drawings", root=tmp_path / "cache", source=folder).channels == 3


def test_images_of_several_sizes_need_a_size(write_tree, tmp_path):
    folder = write_tree(size=(20, 12))
    problem = refused("drawings", root=tmp_path / "cache", source=folder)
    assert problem.found == "20x12 pixels"
    assert problem.expected == "a square, of at most 4096x4096 pixels"
    assert "--image-size 12" in problem.fix
    assert prepare("drawings", root=tmp_path / "cache", source=folder, image_size=10).image_size == 10
    other = write_tree("mixed")
    drawing("disc", 5, size=(14, 14)).save(other / "train" / "disc" / "2.png")
    problem = refused("drawings", root=tmp_path / "cache", source=other)
    assert problem.where == str(other / "train" / "disc" / "2.png")
    assert (problem.expected[:5], problem.found[:5]) == ("12x12", "14x14")


@pytest.mark.parametrize(
    ("sizes", "suggested"),
    [
        ([(1, 1)], 12),  # the one that differs isn't the example
        ([(3, 3)] * 40, 8),
        ([(400, 300)] * 20, 256),  # photographs: as many pixels as models are made for
        ([(14, 14)] * 18 + [(30, 16)] * 3, 12),  # of two equally common sides, the smaller
    ],
)
def test_the_size_that_is_suggested_is_a_sensible_one(sizes, suggested, write_tree, tmp_path):
    """For 18 images of 12 pixels and these."""
    folder = write_tree()
    for number, size in enumerate(sizes):
        Image.new("RGB", size).save(folder / "train" / "disc" / f"other{number}.png")
    fix = refused("drawings", root=tmp_path / "cache", source=folder).fix
    assert fix == f"resize and crop them all: add, for instance, --image-size {suggested}"


def test_the_second_time_reads_nothing(write_tree, tmp_path):
    root, folder = tmp_path / "cache", write_tree()
    first = prepare("drawings", root=root, source=folder)
    before = {path: path.stat().st_mtime_ns for path in [root, *root.rglob("*")]}
    assert prepare("drawings", root=root, source=folder) == first
    assert prepare("drawings", root=root) == first
    assert {path: path.stat().st_mtime_ns for path in [root, *root.rglob("*")]} == before


def test_a_changed_folder_or_size_is_read_again(write_tree, tmp_path):
    root, folder = tmp_path / "cache", write_tree()
    first = prepare("drawings", root=root, source=folder)
    drawing("disc", 91).save(folder / "train" / "disc" / "more.png")
    second = prepare("drawings", root=root, source=folder)
    assert (first.train_images, second.train_images) == (12, 13)
    third = prepare("drawings", root=root, source=folder, image_size=8)
    assert third.image_size == 8
    assert len({first.checksum, second.checksum, third.checksum}) == 3
    verify(third, root)


def test_a_damaged_image_in_a_folder_and_in_an_archive_is_named(write_tree, tmp_path):
    folder = write_tree()
    path = folder / "test" / "cross" / "1001.png"
    path.write_bytes(path.read_bytes()[:-40])
    for storage in ("arrays", "folder"):
        assert refused("drawings", root=tmp_path / "cache", source=folder, storage=storage).where == str(path)
    archive = Path(shutil.make_archive(str(tmp_path / "packed"), "tar", tmp_path, "pictures"))
    for name in ("drawings", "digits"):
        where = refused(name, root=tmp_path / "cache", source=archive).where
        assert where == f"{archive}/pictures/test/cross/1001.png"
    assert os.listdir(tmp_path / "cache") == []


def test_a_folder_stays_where_it_is(write_tree, tmp_path):
    root, folder = tmp_path / "cache", write_tree(size=(20, 16))
    dataset = prepare("drawings", root=root, source=folder, storage="folder", image_size=16)
    assert dataset.storage == "folder"
    assert sorted(os.listdir(root / "drawings")) == ["meta.json", "test.parquet", "train.parquet"]
    rows = load_index(dataset, "train", root).rows
    assert rows == sorted(rows)
    assert {row.path for row in rows} == {path.relative_to(folder).as_posix() for path in folder.glob("train/*/*")}
    for row in rows:
        content = (folder / row.path).read_bytes()
        assert (row.sha256, row.size) == (hashlib.sha256(content).hexdigest(), len(content))
    moved = tmp_path / "elsewhere"
    shutil.copytree(folder, moved)
    for number, path in enumerate(sorted(moved.glob("*/*/*"), reverse=True)):
        path.rename(path.with_name(f"n{number}.png"))
    other = prepare("drawings", root=tmp_path / "cache2", source=moved, storage="folder", image_size=16)
    assert other.checksum == dataset.checksum
    smaller = prepare("drawings", root=tmp_path / "cache3", source=moved, storage="folder", image_size=8)
    assert smaller.checksum != dataset.checksum  # the same files, but other pixels


def test_large_sets_stay_in_their_folder(write_tree, tmp_path, monkeypatch):
    folder = write_tree()
    monkeypatch.setattr("suite.data.preparation.ARRAYS_LIMIT", 18 * 12 * 12 * 3)
    assert prepare("drawings", root=tmp_path / "cache", source=folder).storage == "arrays"
    monkeypatch.setattr("suite.data.preparation.ARRAYS_LIMIT", 18 * 12 * 12 * 3 - 1)
    assert prepare("more", root=tmp_path / "cache", source=folder).storage == "folder"
    archive = Path(shutil.make_archive(str(tmp_path / "packed"), "tar", folder))
    assert "unpack it" in refused("packed", root=tmp_path / "cache", source=archive).fix


@pytest.mark.parametrize("damage", ["label", "missing", "longer", "cut index"])
def test_damage_to_a_folder_is_found(damage, write_tree, tmp_path):
    root, folder = tmp_path / "cache", write_tree()
    dataset = prepare("drawings", root=root, source=folder, storage="folder")
    image = folder / "train" / "disc" / "0.png"
    if damage == "label":  # a whole index, with two images' labels exchanged
        from suite.data.index import Index, write_index

        rows = load_index(dataset, "train", root).rows
        changed = [type(row)(row.sha256, (row.label + 1) % 3, row.path, row.size) for row in rows]
        write_index(root / "drawings" / "train.parquet", Index(changed))
    elif damage == "missing":
        image.unlink()
    elif damage == "longer":
        image.write_bytes(image.read_bytes() + b"\0")
    else:
        path = root / "drawings" / "train.parquet"
        path.write_bytes(path.read_bytes()[:-10])
    with pytest.raises(InputError) as caught:
        verify(dataset, root)
    (problem,) = caught.value.problems
    assert problem.where.startswith(str(image if damage in ("missing", "longer") else root / "drawings"))
    source = "PATH" if damage == "cut index" else folder
    assert f"lape data prepare drawings --from {source} --image-size 12 --storage folder" in problem.fix
    assert problem.expected
    assert problem.found


@pytest.mark.parametrize(
    ("name", "options", "words"),
    [
        ("cifar11", {}, "cifar10"),
        ("Bad Name", {"source": "tree"}, "another name"),
        ("../escape", {"source": "tree"}, "another name"),
        ("fine", {"source": "absent"}, "--from"),
        ("fine", {"source": "file"}, "--from"),
        ("fine", {"source": "tree", "storage": "cloud"}, "folder"),
        ("digits", {"image_size": 16}, "name of your own"),
        ("digits", {"storage": "folder"}, "name of your own"),
    ],
)
def test_requests_that_make_no_sense(name, options, words, write_tree, tmp_path):
    (tmp_path / "file").write_text("no archive")
    places = {"tree": write_tree(), "absent": tmp_path / "absent", "file": tmp_path / "file"}
    if "source" in options:
        options = {**options, "source": places[options["source"]]}
    problem = refused(name, root=tmp_path / "cache", **options)
    assert problem.found
    assert words in problem.fix
    assert not (tmp_path / "cache").exists()


@pytest.mark.parametrize("size", [0, -4, 4097, 99999999])
def test_an_impossible_size(size, write_tree, tmp_path):
    assert refused("fine", root=tmp_path, source=write_tree(), image_size=size).found == str(size)


hexadecimal = st.text("0123456789abcdef", min_size=64, max_size=64) | st.text("0123456789e", min_size=64, max_size=64)
parts = st.floats(0, 1).map(lambda x: round(x, 4))


@settings(deadline=None)
@given(
    st.builds(
        Dataset,
        name=st.from_regex(r"\A[a-z0-9][a-z0-9_-]{0,9}\Z"),
        num_classes=st.integers(2, 1000),
        image_size=st.integers(1, 512),
        channels=st.just(3),
        train_images=st.integers(1, 10**7),
        test_images=st.integers(1, 10**6),
        mean=st.tuples(parts, parts, parts),
        std=st.tuples(*[parts.filter(bool)] * 3),
        checksum=hexadecimal,
        storage=st.sampled_from(["arrays", "folder"]),
        source=st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs", "Co", "Cn"]), max_size=30),
    )
)
def test_a_declaration_reads_back_as_the_same_data_set(dataset):
    ((name, facts),) = YAML(typ="safe").load(declaration(dataset))["datasets"].items()
    assert Dataset(name=str(name), **facts) == dataset
