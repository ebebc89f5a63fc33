"""Reading prepared images: both kinds of storage, verification, and balanced subsets."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

import suite.data.images
from suite.data.cache import load_index, load_split
from suite.data.crops import Crops, crop_and_resize, draw_crops, resize_and_crop_centre
from suite.data.datasets import DATASETS
from suite.data.images import ArrayImages, FolderImages, load_images
from suite.data.preparation import prepare
from suite.data.subsets import balanced_subset
from suite.errors import InputError
from tests.pictures import from_pillow

DIGITS = DATASETS["digits"]


def test_batches_are_the_cached_arrays(data_folder):
    images = load_images(DIGITS, "test", data_folder)
    arrays = load_split(DIGITS, "test", data_folder)
    assert len(images) == 602
    assert images.labels.dtype == torch.int64
    assert images.labels.tolist() == arrays.labels.tolist()
    indices = torch.tensor([5, 600, 5, 0])
    batch = images.batch(indices)
    assert (batch.shape, batch.dtype) == ((4, 1, 8, 8), torch.uint8)
    assert batch.is_contiguous()
    np.testing.assert_array_equal(batch.permute(0, 2, 3, 1).numpy(), arrays.images[indices.numpy()])
    there = images.to("cpu")
    assert torch.equal(there.batch(indices), batch)
    assert torch.equal(there.labels, images.labels)


def test_writing_to_a_batch_leaves_the_cache_alone(data_folder):
    images = load_images(DIGITS, "test", data_folder)
    before = images.batch(torch.arange(602))
    images.batch(torch.arange(602)).fill_(7)
    assert torch.equal(images.batch(torch.arange(602)), before)


@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_a_folder_gives_the_pixels_of_its_files(mode, write_tree, tmp_path):
    root, folder = tmp_path / "cache", write_tree(mode=mode, train=30)
    dataset = prepare("drawings", root=root, source=folder, storage="folder")
    images = load_images(dataset, "train", root)
    rows = load_index(dataset, "train", root).rows
    assert images.labels.tolist() == [row.label for row in rows]
    order = torch.randperm(90, generator=torch.Generator().manual_seed(1))
    batch = images.batch(order)
    assert (batch.shape, batch.dtype) == ((90, dataset.channels, 12, 12), torch.uint8)
    for image, index in zip(batch, order.tolist(), strict=True):
        expected = np.asarray(Image.open(folder / rows[index].path).convert(mode)).reshape(12, 12, -1)
        np.testing.assert_array_equal(image.permute(1, 2, 0).numpy(), expected)
    assert torch.equal(images.to("cpu").batch(order), batch)


def test_folder_and_arrays_hold_the_same_pixels(write_tree, tmp_path):
    root, folder = tmp_path / "cache", write_tree(size=(25, 19))
    sets = [prepare(kind, root=root, source=folder, storage=kind, image_size=14) for kind in ("arrays", "folder")]
    assert sets[0].mean == sets[1].mean
    assert sets[0].std == sets[1].std
    batches = [load_images(dataset, "test", root).batch(torch.arange(6)) for dataset in sets]
    assert sorted(image.tolist() for image in batches[0]) == sorted(image.tolist() for image in batches[1])


@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_a_folder_crops_the_whole_pictures_not_what_is_left_of_them(mode, write_tree, tmp_path):
    """Random crops, and the centre of a larger resized picture, against Pillow on the files themselves."""
    root, folder = tmp_path / "cache", write_tree(size=(40, 27), mode=mode, train=8)
    dataset = prepare("drawings", root=root, source=folder, storage="folder", image_size=14)
    images = load_images(dataset, "train", root)
    order = torch.randperm(24, generator=torch.Generator().manual_seed(1))
    files = [Image.open(folder / images.rows[index].path).convert(mode) for index in order.tolist()]
    bicubic = torch.arange(24) % 2 == 0
    crops = draw_crops(24, (0.2, 1.0), (0.75, 4 / 3), bicubic, torch.Generator().manual_seed(0))
    expected = []
    for i, file in enumerate(files):
        top, left, height, width = crops.window(i, 27, 40)
        kind = Image.Resampling.BICUBIC if bicubic[i] else Image.Resampling.BILINEAR
        expected.append(file.crop((left, top, left + width, top + height)).resize((14, 14), kind))
    assert torch.equal(images.cropped(order, crops), from_pillow(expected))

    resized = [file.resize((30, 20), Image.Resampling.BICUBIC).crop((8, 3, 22, 17)) for file in files]
    assert torch.equal(images.batch(order, crop_ratio=0.7), from_pillow(resized))


def test_torch_resizes_the_same_windows_where_the_crops_say_so(write_tree, tmp_path):
    """Nearly Pillow's pixels, the same ones each time, and by image: parts and joined crops keep the resizer."""
    root, folder = tmp_path / "cache", write_tree(size=(40, 27), train=8)
    dataset = prepare("drawings", root=root, source=folder, storage="folder", image_size=14)
    images, order = load_images(dataset, "train", root), torch.arange(24)
    by_pillow, by_torch = (
        draw_crops(24, (0.2, 1.0), (0.75, 4 / 3), order % 2 == 0, torch.Generator().manual_seed(0), resizer)
        for resizer in ("pillow", "torch")
    )
    expected, found = images.cropped(order, by_pillow), images.cropped(order, by_torch)
    assert int((found.int() - expected.int()).abs().max()) <= 2
    assert torch.equal(images.start(order, by_torch).result(), found)
    halves = [by_torch.take(order[:12]), by_torch.take(order[12:])]
    assert {half.resizer for half in halves} == {Crops.joined(halves).resizer} == {"torch"}
    assert torch.equal(torch.cat([images.cropped(order[:12], halves[0]), images.cropped(order[12:], halves[1])]), found)


@pytest.mark.parametrize("resizer", ["pillow", "torch"])
def test_a_file_is_read_once_for_all_its_places_in_a_batch(resizer, write_tree, tmp_path, monkeypatch):
    """As with repeated augmentation: each place still has its own crop."""
    root, folder = tmp_path / "cache", write_tree(size=(40, 27), train=8)
    dataset = prepare("drawings", root=root, source=folder, storage="folder", image_size=14)
    images = load_images(dataset, "train", root)
    order = torch.tensor([3, 3, 3, 0, 5, 0, 3, 7])
    crops = draw_crops(8, (0.2, 1.0), (0.75, 4 / 3), order % 2 == 0, torch.Generator().manual_seed(0), resizer)
    one_by_one = [images.cropped(order[[i]], crops.take(torch.tensor([i]))) for i in range(8)]
    whole = [images.batch(order[[i]]) for i in range(8)]

    verified, read = FolderImages._verified, []
    monkeypatch.setattr(FolderImages, "_verified", lambda self, row: (read.append(row.path), verified(self, row))[1])
    assert torch.equal(images.cropped(order, crops), torch.cat(one_by_one))
    assert torch.equal(images.batch(order), torch.cat(whole))
    assert sorted(read) == sorted(images.rows[i].path for i in (0, 3, 5, 7) for _ in range(2))


def test_arrays_are_cropped_and_resized_too(data_folder):
    images, order = load_images(DIGITS, "test", data_folder), torch.arange(100)
    crops = draw_crops(100, (0.2, 1.0), (0.75, 4 / 3), order % 2 == 0, torch.Generator().manual_seed(0))
    eight = torch.full((100,), 8)
    windows = crops.windows(eight, eight)
    expected = crop_and_resize(images.batch(order), windows, crops.bicubic, 8, 8)
    assert torch.equal(images.cropped(order, crops), expected)
    assert not torch.equal(expected, images.batch(order))
    assert torch.equal(images.batch(order, crop_ratio=1.0), images.batch(order))
    assert torch.equal(images.batch(order, crop_ratio=0.7), resize_and_crop_centre(images.batch(order), 11))


def test_what_is_started_ends_as_what_is_asked_for_at_once(write_tree, data_folder, tmp_path):
    root, folder = tmp_path / "cache", write_tree(size=(40, 27), train=8)
    dataset = prepare("drawings", root=root, source=folder, storage="folder", image_size=14)
    for images in (load_images(dataset, "train", root), load_images(DIGITS, "train", data_folder)):
        order = torch.arange(24).flip(0)
        crops = draw_crops(24, (0.2, 1.0), (0.75, 4 / 3), order % 2 == 0, torch.Generator().manual_seed(0))
        started = [images.start(order, drawn) for drawn in (crops, None)]
        given_up = images.start(order, crops)
        given_up.cancel()
        assert torch.equal(started[0].result(), images.cropped(order, crops))
        assert torch.equal(started[1].result(), images.batch(order))
        assert images.batch(order).shape[1:] == images.shape


def test_a_device_gets_a_copy_once_per_process(data_folder):
    train, again = (load_images(DIGITS, "train", data_folder) for _ in range(2))
    assert train.to("cpu") is train  # mapped, so that processes share its pages
    assert train.pixels is not again.pixels
    copy = train.to("meta")
    assert copy.pixels.is_meta
    assert copy.labels.is_meta
    assert again.to(torch.device("meta")) is copy
    test = load_images(DIGITS, "test", data_folder)
    assert test.to("meta") is test.to("meta") is not copy
    assert train.to("meta") is copy
    unnamed = ArrayImages(train.pixels, train.labels)
    assert unnamed.to("meta") is not unnamed.to("meta")


def test_a_device_holds_the_copies_of_one_data_set(data_folder):
    """Else a trial's peak memory would tell of the trials before it."""
    train = load_images(DIGITS, "train", data_folder)
    other = ArrayImages(train.pixels, train.labels, ("another checksum", "train"))
    copy = train.to("meta")
    elsewhere = other.to("meta")
    assert elsewhere is not copy
    assert other.to("meta") is elsewhere
    assert train.to("meta") is not copy


def test_an_image_that_changes_in_secret_is_found_when_it_is_read(write_tree, tmp_path):
    root, folder = tmp_path / "cache", write_tree(suffix=".bmp")
    dataset = prepare("drawings", root=root, source=folder, storage="folder")
    images = load_images(dataset, "train", root)
    index, row = next((i, row) for i, row in enumerate(load_index(dataset, "train", root).rows))
    path = folder / row.path
    content = bytearray(path.read_bytes())
    content[-1] ^= 1  # the same size, and still an image
    path.write_bytes(content)
    images.batch(torch.tensor([index + 1]))
    with pytest.raises(InputError) as caught:
        images.batch(torch.tensor([index + 1, index]))
    (problem,) = caught.value.problems
    assert problem.expected == f"SHA-256 {row.sha256}"
    assert problem.found != problem.expected
    assert problem.where == str(path)
    assert f"lape data prepare drawings --from {folder} " in problem.fix


def test_data_are_verified_once_and_again_after_they_were_touched(data_folder, tmp_path, monkeypatch):
    root = tmp_path / "cache"
    shutil.copytree(data_folder, root)
    verified = []
    real = suite.data.images.verify
    monkeypatch.setattr("suite.data.images.verify", lambda *what: (verified.append(what), real(*what)))
    for split in ("train", "test", "train"):
        load_images(DIGITS, split, root)
    assert len(verified) == 1
    path = root / "digits" / "train-images.npy"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    for _ in range(2):
        with pytest.raises(InputError, match="damaged"):
            load_images(DIGITS, "test", root)


def test_data_that_are_not_prepared(tmp_path):
    with pytest.raises(InputError, match="lape data prepare digits"):
        load_images(DIGITS, "train", tmp_path)


@settings(deadline=None)
@given(st.lists(st.integers(0, 4), min_size=1, max_size=60), st.data())
def test_a_balanced_subset_takes_the_first_of_every_class(values, data):
    labels = torch.tensor(values)
    classes, sizes = labels.unique(return_counts=True)
    limit = int(sizes.min()) * len(classes)
    count = data.draw(st.integers(len(classes), limit))
    chosen = balanced_subset(labels, count)
    assert len(chosen) == count
    assert chosen.tolist() == sorted(set(chosen.tolist()))
    shares = [int((labels[chosen] == label).sum()) for label in classes]
    assert max(shares) - min(shares) <= 1
    assert shares == sorted(shares, reverse=True)
    for label, share in zip(classes, shares, strict=True):
        members = (labels == label).nonzero().flatten()
        assert set(members[:share].tolist()) <= set(chosen.tolist())


def test_a_larger_subset_holds_the_smaller(data_folder):
    labels = load_images(DIGITS, "train", data_folder).labels
    assert set(balanced_subset(labels, 100).tolist()) < set(balanced_subset(labels, 505).tolist())
    assert torch.bincount(labels[balanced_subset(labels, 103)]).tolist() == [11] * 3 + [10] * 7


@pytest.mark.parametrize(("count", "found"), [(2, "2"), (9, "2 images"), (100, "3 images")])
def test_subsets_that_cannot_be(count, found):
    labels = torch.tensor([0, 0, 0, 1, 1, 2, 2, 2])
    with pytest.raises(InputError) as caught:
        balanced_subset(labels, count)
    (problem,) = caught.value.problems
    assert problem.found == found
    assert problem.expected
    assert "train_images" in problem.fix


def test_a_drawn_subset_is_balanced_and_depends_on_its_seed_alone() -> None:
    labels = torch.arange(200) % 10
    first, again, other = (balanced_subset(labels, 53, seed) for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    for chosen in (first, other):
        assert torch.bincount(labels[chosen]).tolist() == [6] * 3 + [5] * 7
        assert torch.equal(chosen, chosen.unique())
