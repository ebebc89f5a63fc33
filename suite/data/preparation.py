"""`lape data prepare`: turn a download, a folder or an archive into a verified data set in the cache."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping
from io import StringIO
from pathlib import Path
from typing import Literal

from suite.data import sources
from suite.data.again import STORED, is_whole, prepared_before, verify_files
from suite.data.arrays import SPLITS, Split, arrays_checksum, canonical_order, measure
from suite.data.cache import (
    BACKBONES,
    CORRUPTIONS,
    TEACHERS,
    Meta,
    load_meta,
    prepare_command,
    publish,
    scratch,
    verify,
)
from suite.data.copies import Named, note_copies
from suite.data.datasets import DATASETS, MOST_NAME, Dataset
from suite.data.decode import decode, read_file
from suite.data.index import Index, classes_checksum, index_checksum
from suite.data.names import name_path, name_text, shown
from suite.data.parallel import in_parallel
from suite.data.reading import listing, read_arrays, read_form, read_index, read_tree, unpacked
from suite.data.sound.listing import list_recordings
from suite.data.sound.reading import read_spectrograms
from suite.data.sound.settings import Sound
from suite.data.source_checks import check_image_size, check_options, check_source
from suite.data.tree import Tree
from suite.errors import InputError, unknown
from suite.store.canonical import canonical_json
from suite.store.homes import expanded
from suite.text import Progress

STORAGES = ("auto", "arrays", "folder")
_Options = tuple[int | None, str, Sound | None]  # image size, storage, settings of spectrograms
_TAKEN = (TEACHERS, BACKBONES, CORRUPTIONS)  # folders of the cache that aren't data sets

ARRAYS_LIMIT = 2 * 2**30  # bytes of pixels; a larger data set stays in its folder unless "arrays" is requested
MEASURED_IMAGES = 2000  # images of a folder's training split, evenly spaced, from which mean and std are computed


def prepare(
    name: str,
    *,
    root: Path,
    source: Path | None = None,
    image_size: int | None = None,
    storage: str = "auto",
    sound: Sound | None = None,
) -> Dataset:
    """Prepare a data set in the cache and verify it. An undamaged data set is only verified.

    Args:
        name: a built-in data set, which is downloaded unless `source` is given; or a new name for an image folder.
        root: the cache.
        source: a folder or an archive with the original files of a built-in data set, or with an image folder.
        image_size: resize the images of a custom data set (shorter side, bicubic) and crop the centre.
        storage: "arrays" (uint8, in the cache), "folder" (an index; images are decoded when read), or "auto" (arrays
            up to 2 GiB). Checksums, and therefore trial ids, differ between the two.
        sound: the source has recordings, which become spectrograms with these settings.

    Raises:
        InputError: the source can't be used or isn't the requested data set, or the cache isn't writable.
    """
    if source is not None:
        source = expanded(source).absolute()
        check_source(source, "images" if sound is None else "recordings")
    if image_size is not None:
        check_image_size(image_size)
    if storage not in STORAGES:
        raise unknown("storage", storage, STORAGES, where=f"--storage {storage}")
    if sound is not None:
        _check_sound(name, source, image_size, storage)
    if name in DATASETS:
        fixed = DATASETS[name].storage
        if image_size not in (None, DATASETS[name].image_size) or storage not in ("auto", fixed):
            raise InputError(
                f"{name!r} is a built-in data set: its form is fixed",
                expected=f"images of {DATASETS[name].image_size} pixels, stored as {STORED[fixed]}",
                found=f"image size {image_size}, storage {storage}",
                where=f"lape data prepare {name}",
                fix="leave the options out, or prepare the images under a name of your own",
            )
        prepare_ = _prepare_builtin if fixed == "arrays" else _prepare_builtin_folder
        with Progress(f"preparing {name}") as progress:
            return prepare_(DATASETS[name], root, source, progress)
    check_name(name)
    with Progress(f"preparing {name}") as progress:
        if source is None:
            progress.phase("verifying what is there")
            return prepared_before(name, root, image_size, storage, progress)
        return _prepare_custom(name, root, source, (image_size, storage, sound), progress)


def declaration(dataset: Dataset) -> str:
    """The YAML lines that declare a custom data set, to be pasted into a grid file; with its task, if it is unusual."""
    from ruamel.yaml import YAML
    from ruamel.yaml.comments import CommentedSeq

    facts = dataset.model_dump(mode="json", exclude={"name", "checksum_of"})
    for key in ("mean", "std"):
        facts[key] = CommentedSeq(facts[key])
        facts[key].fa.set_flow_style()
    yaml, text = YAML(), StringIO()
    yaml.width = 1000
    task = {} if dataset.task == "classification" else {"task": dataset.task}
    yaml.dump({**task, "datasets": {dataset.name: facts}}, text)
    return text.getvalue()


def _prepare_builtin(dataset: Dataset, root: Path, source: Path | None, progress: Progress) -> Dataset:
    progress.phase("verifying what is there")
    if is_whole(dataset, root, progress):
        return dataset
    with scratch(root) as temporary:
        splits = _read_builtin(dataset.name, source, temporary, progress)
        progress.phase("sorting and writing")
        splits = sort_splits(splits)
        found = arrays_checksum(splits)
        if found != dataset.checksum:
            size, channels = dataset.image_size, dataset.channels
            counts = {"train": dataset.train_images, "test": dataset.test_images}
            raise InputError(
                f"these images are not the data set {dataset.name!r}",
                expected="; ".join(f"{split} {n} images of {size}x{size}x{channels}" for split, n in counts.items())
                + f"; SHA-256 {dataset.checksum}",
                found="; ".join(f"{name} {split.shape}" for name, split in splits.items()) + f"; SHA-256 {found}",
                where=shown(source or dataset.source),
                fix="get the complete original, without lossy recoding; or prepare these images under another name",
            )
        publish(Meta(dataset=dataset), splits, root)
    verify(dataset, root)
    return dataset


def _prepare_builtin_folder(dataset: Dataset, root: Path, source: Path | None, progress: Progress) -> Dataset:
    progress.phase("verifying what is there")
    if source is None and load_meta(dataset.name, root) is not None:
        verify_files(dataset, root, progress)  # its error says what is wrong, and how to prepare it again
        return dataset
    if is_whole(dataset, root, progress):
        return dataset
    if source is None or not source.is_dir():
        raise InputError(
            f"{dataset.name!r} is read from a folder of yours",
            expected=f"a folder with the images of {dataset.source}",
            found="no --from" if source is None else "an archive",
            where=f"lape data prepare {dataset.name}",
            fix=f"unpack the images where they can stay, and run: {prepare_command(dataset.name)}",
        )
    tree, size, channels = read_tree(source, progress), dataset.image_size, dataset.channels
    counts = {split: len(files) for split, files in tree.splits.items()}
    found = classes_checksum(tree.classes, counts, size, channels)
    if found != dataset.checksum:
        raise InputError(
            f"this folder is not the data set {dataset.name!r}",
            expected=f"{dataset.num_classes} classes, {dataset.train_images} + {dataset.test_images} images; "
            f"SHA-256 {dataset.checksum} of the names of classes and the numbers of images",
            found=f"{len(tree.classes)} classes, {counts['train']} + {counts['test']} images; SHA-256 {found}",
            where=shown(tree.folder),
            fix="get the complete original, with its own names of class folders; or prepare this under another name",
        )
    images = name_text(tree.folder)
    index = read_index(tree, size, channels, progress)
    meta = Meta(dataset=dataset, classes=tree.classes, images=images, index=index_checksum(index, size, channels))
    progress.phase("writing and verifying")
    publish(meta, index, root)
    verify(dataset, root)
    return dataset


def _read_builtin(name: str, source: Path | None, temporary: Path, progress: Progress) -> dict[str, Split]:
    if source is None:
        progress.phase("downloading" if name != "digits" else "reading")
        return sources.read_digits() if name == "digits" else sources.download(name, temporary)
    with unpacked(source, temporary, progress) as folder:
        progress.phase("reading the files")
        splits = sources.read_files(name, folder, temporary)
        if splits is None:
            tree = read_tree(folder, progress)
            size, channels = read_form(tree, None, progress)
            splits = read_arrays(tree, size, channels, progress)
    return splits


def check_name(name: str) -> None:
    """Raise `InputError` if no data set of the user's own can have this name."""
    if not re.fullmatch(r"[a-z0-9][a-z0-9_-]*", name) or name in _TAKEN or len(name) > MOST_NAME:
        raise InputError(
            "a name that no data set can have",
            expected=f"lower-case letters, digits, '_' and '-', at most {MOST_NAME} in all; a letter or digit first; "
            f"not {' or '.join(map(repr, _TAKEN))}",
            found=repr(name) if len(name) <= MOST_NAME else f"{name[:20]!r}… of {len(name)} signs",
            where="lape data prepare",
            fix="choose another name",
        )


def _check_sound(name: str, source: Path | None, image_size: int | None, storage: str) -> None:
    """Raise `InputError` for a name or options that don't go with the settings of spectrograms."""
    problems = {
        "a new name": f"{name}, a built-in data set" if name in DATASETS else "",
        "--from with a folder or an archive of recordings": "no --from" if source is None else "",
        "no --image-size: mel_bands is the size": f"--image-size {image_size}" if image_size is not None else "",
        "spectrograms in the cache": "--storage folder" if storage == "folder" else "",
    }
    check_options(name, "--sound", problems, "run: lape data prepare NAME --from FOLDER --sound SETTINGS --split RULE")


def _prepare_custom(name: str, root: Path, source: Path, options: _Options, progress: Progress) -> Dataset:
    sound = options[-1]

    def listed_below(folder: Path) -> Tree:
        if sound is None:
            return read_tree(folder, progress)
        progress.phase("listing the recordings")
        with listing(folder):
            return list_recordings(folder, sound)

    tree = listed_below(source) if source.is_dir() else None
    progress.phase("verifying what is there")
    given = options[:2] if sound is None else (sound.model_dump(mode="json"),)
    stamp = tree.stamp(*given) if tree else _archive_stamp(source, *given)
    try:
        known = load_meta(name, root)
    except InputError:
        known = None  # damaged: prepare it again
    if known is not None and known.stamp == stamp and is_whole(known.dataset, root, progress):
        return known.dataset
    with scratch(root) as temporary:
        with unpacked(source, temporary, progress) as folder:
            tree = tree or listed_below(folder)
            meta, splits = _read_custom(name, tree, source, options, progress)
        progress.phase("writing and verifying")
        publish(meta.model_copy(update={"stamp": stamp}), splits, root)
        verify(meta.dataset, root)
    return meta.dataset


def _read_custom(
    name: str, tree: Tree, source: Path, options: _Options, progress: Progress
) -> tuple[Meta, Mapping[str, Split] | Mapping[str, Index]]:
    image_size, storage, sound = options
    form: tuple[int, Literal[1, 3]] = (sound.frames, 1) if sound else read_form(tree, image_size, progress)
    size, channels = form
    pixels = len(tree.paths) * size * size * channels
    if storage == "auto":
        storage = "arrays" if sound or pixels <= ARRAYS_LIMIT else "folder"
    splits: Mapping[str, Split] | Mapping[str, Index]
    images = ""
    if storage == "arrays":
        arrays = read_spectrograms(tree, sound, progress) if sound else read_arrays(tree, size, channels, progress)
        progress.phase("sorting and measuring")
        note_copies({split: _named(tree, split, arrays[split]) for split in SPLITS})
        splits = arrays = sort_splits(arrays)
        checksum = sound.checksum(arrays_checksum(arrays)) if sound else arrays_checksum(arrays)
        mean, std = measure(arrays["train"].images)
    elif not source.is_dir():
        raise InputError(
            "an archive too large to be kept as arrays",
            expected=f"at most {ARRAYS_LIMIT / 2**30:.0f} GiB of pixels, or a folder, whose images stay where they are",
            found=f"an archive with {pixels / 2**30:.2f} GiB of pixels, for storage 'folder'",
            where=shown(source),
            fix="unpack it where it can stay, and give that folder",
        )
    else:
        images = name_text(tree.folder)
        splits = index = read_index(tree, size, channels, progress)
        checksum = index_checksum(index, size, channels)
        note_copies({split: ((row.sha256, row.label, row.path) for row in index[split].rows) for split in SPLITS})
        rows = index["train"].rows
        step = -(-len(rows) // MEASURED_IMAGES)
        sample = [tree.folder / name_path(row.path) for row in rows[::step]]
        progress.phase("measuring")
        mean, std = measure(in_parallel(lambda path: decode(read_file(path), path, channels, size), sample, ahead=64))
    dataset = Dataset(
        name=name,
        num_classes=len(tree.classes),
        image_size=size,
        channels=channels,
        train_images=len(splits["train"]),
        test_images=len(splits["test"]),
        mean=mean,
        std=std,
        checksum=checksum,
        storage="arrays" if storage == "arrays" else "folder",
        source=f"{'recordings of' if sound else 'image folder'} {shown(source.name)}",
        sound=sound,
    )
    return Meta(dataset=dataset, classes=tree.classes, images=images), splits


def _named(tree: Tree, split: str, arrays: Split) -> Iterator[Named]:
    for (path, label), image in zip(tree.splits[split], arrays.images, strict=True):
        yield hashlib.sha256(image).digest(), label, name_text(path.relative_to(tree.folder))


def sort_splits(splits: Mapping[str, Split]) -> dict[str, Split]:
    """The splits in canonical order."""
    return {name: split.take(canonical_order(split)) for name, split in splits.items()}


def _archive_stamp(archive: Path, *options: object) -> str:
    stat = archive.stat()
    return hashlib.sha256(
        canonical_json([shown(archive), stat.st_size, stat.st_mtime_ns, options]).encode()
    ).hexdigest()
