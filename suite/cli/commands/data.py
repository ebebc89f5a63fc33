"""`lape data`: prepares and lists data sets and teachers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from suite.cli.commands.ls import columns
from suite.data.cache import load_meta, open_root, prepare_command
from suite.data.corruptions.settings import check_corruptible, parse_corruptions
from suite.data.datasets import DATASETS, Dataset
from suite.data.inventory import Listed, list_prepared
from suite.data.listops.preparation import prepare_lists
from suite.data.listops.settings import parse_listops
from suite.data.preparation import declaration, prepare
from suite.data.regions.preparation import prepare_regions
from suite.data.regions.settings import parse_regions
from suite.data.segmentation.preparation import prepare_masks
from suite.data.segmentation.settings import parse_segmentation
from suite.data.sound.settings import FOLDERS, parse_sound
from suite.errors import InputError
from suite.text import note


def prepare_data(
    name: str,
    source: Path | None,
    image_size: int | None,
    storage: str,
    data: Path | None,
    sound: str | None = None,
    split: str | None = None,
    corruptions: str | None = None,
    listops: str | None = None,
    segmentation: str | None = None,
    regions: str | None = None,
) -> Iterator[str]:
    """Run `lape data prepare`: prepare a data set, and yield lines that describe it.

    Args:
        name: the name of a built-in data set, or a new name.
        source: a folder or an archive; None: download.
        image_size: pixels per side to resize to; None: unchanged.
        storage: "arrays", "folder" or "auto".
        data: the folder of the prepared data sets; None: the default.
        sound: the settings of spectrograms, if the source has recordings.
        split: the rule that makes the recordings' test split; None: by folders.
        corruptions: the settings of corrupted copies of the test images; None: make none.
        listops: the settings of lists to generate or to read.
        segmentation: the classes and the splits, if the source has images with masks.
        regions: the splits, if the source is BSDS500.

    Raises:
        InputError: options don't go together, unknown settings, or the data set can't be prepared.
    """
    if listops is not None:
        others: dict[str, object] = {
            "--sound": sound,
            "--split": split,
            "--image-size": image_size,
            "--storage": storage,
        }
        others |= {"--corruptions": corruptions, "--segmentation": segmentation, "--regions": regions}
        _check_alone(name, "--listops", "--from and --data", others)
    elif segmentation is not None or regions is not None:
        option = "--regions" if segmentation is None else "--segmentation"
        others = {"--sound": sound, "--split": split, "--corruptions": corruptions}
        others |= {"--regions": regions} if segmentation is not None else {}
        _check_alone(name, option, "--from, --image-size, --storage and --data", others)
    elif split is not None and sound is None:
        raise InputError(
            "a split of images is made by their folders",
            expected="--split with --sound alone",
            found=f"--split {split}",
            where=f"lape data prepare {name}",
            fix="add --sound if these are recordings; otherwise leave --split out",
        )
    wanted = None if corruptions is None else parse_corruptions(corruptions)
    settings = None if sound is None else parse_sound(sound, split or FOLDERS)
    root = open_root(data)
    before = _prepared(name, root)
    if listops is not None:
        dataset = prepare_lists(name, parse_listops(listops), root=root, source=source)
    elif segmentation is not None:
        masks = parse_segmentation(segmentation)
        dataset = prepare_masks(name, masks, root=root, source=source, image_size=image_size, storage=storage)
    elif regions is not None:
        splits = parse_regions(regions)
        dataset = prepare_regions(name, splits, root=root, source=source, image_size=image_size, storage=storage)
    else:
        dataset = prepare(name, root=root, source=source, image_size=image_size, storage=storage, sound=settings)
    yield f"{dataset.name}: {dataset.summary}, in {root / name}"
    yield f"sha256 {dataset.checksum}"
    meta = load_meta(name, root)
    if meta is not None and meta.index:
        yield f"sha256 {meta.index} of its files: it should be the same on all machines whose results you compare"
    if before is not None and before.checksum != dataset.checksum:
        size = f"{before.image_size}×{before.image_size} pixels" if before.listops is None else before.size_text
        note(
            f"this took the place of another data set {name!r}, of {size} and sha256 {before.checksum}: "
            "grids that declare that one need it prepared again, under a name of its own"
        )
    if wanted is not None:
        from suite.data.corruptions.images import load_corrupted  # imported here: it needs torch

        check_corruptible(dataset)
        made = load_corrupted(dataset, wanted, 1.0, root).copies
        yield (
            f"{wanted.copies} corrupted copies of {made.images} test images, {made.bytes_of_all / 1e6:,.1f} MB, in "
            f"{made.folder}"
        )
        yield f"checksum {made.checksum()}: it is in the record of every run that is tested on them"
    if name not in DATASETS:
        yield "to use it, add to a grid file:"
        yield declaration(dataset)


def _check_alone(name: str, option: str, allowed: str, others: Mapping[str, object]) -> None:
    """Raise `InputError` if an option is given that doesn't go with another one.

    Args:
        name: the data set's name.
        option: the one that excludes others.
        allowed: the options that go with it, for the message.
        others: the values of those that don't.
    """
    if given := [other for other, value in others.items() if value not in (None, "auto")]:
        raise InputError(
            "options that don't go together",
            expected=f"with {option}, no other option than {allowed}",
            found=" and ".join(given),
            where=f"lape data prepare {name}",
            fix=f"run: lape data prepare NAME {option} SETTINGS, with none but {allowed}",
        )


def _prepared(name: str, root: Path) -> Dataset | None:
    try:
        meta = load_meta(name, root)
    except InputError:  # it is damaged, and will be replaced
        return None
    return meta.dataset if meta is not None else None


def add_teacher(name: str, source: Path | None, data: Path | None, weights_key: str | None = None) -> Iterator[str]:
    """Run `lape data teacher`: store a teacher's weights, and yield lines that describe it.

    Args:
        name: timm's name of the model.
        source: a file of weights; None: download.
        data: the folder of the prepared data sets; None: the default.
        weights_key: the key of the weights in the file.
    """
    from suite.train import teachers  # imported here: it needs torch and timm, which the other commands don't

    teacher, checksum, path = teachers.add_teacher(name, open_root(data), source, weights_key)
    if teacher.weights:
        yield f"weights: {teacher.weights}"
    parameters = sum(parameter.numel() for parameter in teacher.model.parameters())
    yield f"{name}: {teacher.num_classes} classes, {teacher.channels} channels, {parameters:,} parameters, in {path}"
    yield "to use it, add to a recipe:"
    yield teachers.teacher_declaration(name, checksum)


def add_backbone(name: str | None, source: Path | None, data: Path | None, arch: str | None = None) -> Iterator[str]:
    """Run `lape data backbone`: store a backbone's weights, and yield lines that describe it.

    Args:
        name: timm's name of the model, if its pretrained weights are meant.
        source: a file of weights, if they are meant.
        data: the folder of the prepared data sets; None: the default.
        arch: the architecture of weights that don't describe it.
    """
    from suite.train import backbones  # imported here: it needs torch, which the other commands don't

    given = [one for one in (name, source) if one is not None]
    if len(given) != 1:
        raise InputError(
            "a backbone's weights come from one place",
            expected="either timm's name of a model, or a file",
            found="both" if given else "neither",
            where="lape data backbone",
            fix="run: lape data backbone --from FILE, or: lape data backbone NAME --arch ARCH",
        )
    kept, checksum, path = backbones.add_backbone(given[0], open_root(data), arch)
    parameters = sum(parameter.numel() for parameter in kept.model.parameters())
    yield f"{kept.cell.arch.name}, of {kept.dataset}: {parameters:,} parameters, in {path}"
    yield "to group the patches of this model, add to a recipe:"
    yield backbones.backbone_declaration(checksum)
    yield f"to start training from it, where join is {kept.cell.join}, add to a recipe:"
    yield backbones.pretrained_declaration(kept.cell.join, checksum)


def list_data(data: Path | None) -> Iterator[str]:
    """Run `lape data ls`: yield one line for each data set, prepared or not."""
    root = open_root(data)
    yield f"in {root}:"
    yield from columns({entry.name: _listed(entry) for entry in list_prepared(root)})


def _listed(entry: Listed) -> str:
    """Describe one data set of the list."""
    kind = "built in" if entry.builtin else "your own"
    if not entry.prepared:
        return f"not prepared ({kind}): {entry.note or prepare_command(entry.name)}"
    facts = entry.dataset
    images = f"{facts.train_images} + {facts.test_images} {facts.items}, " if facts else ""
    return f"prepared ({kind}): {images}{entry.size / 1e6:.1f} MB{entry.note and ', ' + entry.note}"
