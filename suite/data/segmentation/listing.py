"""Finding the images of a segmentation data set and the mask of each: in VOC's layout, or in two parallel folders."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from suite.data.decode import SUFFIXES
from suite.data.names import listed, name_path, name_text, shown
from suite.data.regular_files import read_regular
from suite.data.segmentation.settings import Segmentation
from suite.data.tree import Tree
from suite.data.walk import Walk, check_link
from suite.errors import InputError

LISTS = "ImageSets/Segmentation"
VOC_IMAGES, VOC_MASKS = "JPEGImages", "SegmentationClass"
IMAGES, MASKS = "images", ("masks", "annotations")
MASK_SUFFIX = ".png"
_MOST_LIST = 2**26  # bytes of a list

Pair = tuple[Path, Path]  # an image and its mask


@dataclass(frozen=True)
class Pairs:
    """The images and masks of both splits.

    Attributes:
        folder: the folder above all of them.
        splits: the pairs of each split, in the order of their names.
    """

    folder: Path
    splits: dict[str, list[Pair]]

    @property
    def images(self) -> Tree:
        """The images as a tree without classes."""
        return Tree(self.folder, (), {name: [(image, 0) for image, _ in pairs] for name, pairs in self.splits.items()})

    def stamp(self, *options: object) -> str:
        """A digest that changes if a file is added, removed, replaced or edited, or if an option differs."""
        files = {name: [(path, 0) for pair in pairs for path in pair] for name, pairs in self.splits.items()}
        return Tree(self.folder, (), files).stamp(*options)


def list_pairs(folder: Path, rule: Segmentation) -> Pairs:
    """List the images of both splits with their masks.

    In VOC's layout, ImageSets/Segmentation/NAME.txt lists names; the images are in JPEGImages, the masks in
    SegmentationClass. Otherwise images/NAME/ has the images, and masks/NAME/ (or annotations/NAME/) a mask of the same
    name for each. The folder may lie in a folder of its own, as in archives.

    Raises:
        InputError: the folder has neither layout, a list or folder is missing or empty, a list names an image twice, or
            an image or its mask is missing.
    """
    top = _find_top(folder)
    voc = (top / LISTS).is_dir()
    splits: dict[str, list[Pair]] = {}
    for split, names in rule.split_names.items():
        pairs = [pair for name in names for pair in (_of_list(top, name) if voc else _of_folder(top, name))]
        (twice, times), *_ = Counter(image for image, _ in pairs).most_common(1)
        if times > 1:
            raise InputError(
                f"the {split} split has an image twice",
                expected="each image once",
                found=shown(twice.name),
                where=", ".join(_source(top, name, voc) for name in names),
                fix="remove it from a list, or name other lists",
            )
        splits[split] = sorted(pairs)
    return Pairs(top, splits)


def _source(top: Path, name: str, voc: bool) -> str:
    return shown(top / LISTS / f"{name}.txt" if voc else top / IMAGES / name)


def _find_top(folder: Path) -> Path:
    inside = sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))
    found = [path for path in (folder, *inside) if (path / LISTS).is_dir() or _mask_folder(path)]
    if not found:
        raise InputError(
            "no images with masks",
            expected=f"{VOC_IMAGES}/, {VOC_MASKS}/ and {LISTS}/ (VOC's layout), or {IMAGES}/ and {MASKS[0]}/ (or "
            f"{MASKS[1]}/) with a folder per split in each",
            found=listed(path.name for path in inside) or "no folders",
            where=shown(folder),
            fix="give the folder that holds them",
        )
    return found[0]


def _mask_folder(top: Path) -> Path | None:
    if not (top / IMAGES).is_dir():
        return None
    return next((top / name for name in MASKS if (top / name).is_dir()), None)


def _of_list(top: Path, name: str) -> Iterator[Pair]:
    path = top / LISTS / f"{name}.txt"
    try:
        text = read_regular(path, _MOST_LIST).decode("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        known = sorted(file.stem for file in (top / LISTS).glob("*.txt"))
        raise InputError(
            f"the list {name!r} can't be read",
            expected="a text file with the name of an image on each line",
            found=(error.strerror or str(error)) if isinstance(error, OSError) else "text in another encoding",
            where=shown(path),
            fix=f"name other lists by train= and test=; there are: {listed(known, 10) or 'none'}",
        ) from error
    names = [(number, line.strip()) for number, line in enumerate(text.splitlines(), 1) if line.strip()]
    if not names:
        raise _empty(name, path, "a list without a name")
    for number, found in names:
        if "/" in found or "\\" in found or "\0" in found or found.startswith("."):
            raise InputError(
                "a list names something else than an image",
                expected=f"the name of an image in {VOC_IMAGES}/, without folder and suffix",
                found=shown(found),
                where=f"{shown(path)}, line {number}",
                fix="correct the list",
            )
        yield (
            _image(top / VOC_IMAGES, name_path(found), f"{shown(path)}, line {number}"),
            _mask(top / VOC_MASKS / f"{name_path(found)}{MASK_SUFFIX}", f"{found}, {shown(path)}, line {number}"),
        )


def _image(folder: Path, stem: str, where: str) -> Path:
    for suffix in (".jpg", ".jpeg", ".png", ".JPG"):
        path = folder / f"{stem}{suffix}"
        if path.is_file():
            return path
    raise InputError(
        "an image of a list is missing",
        expected=f"{shown(stem)}.jpg, .jpeg or .png in {shown(folder)}",
        found="no such file",
        where=where,
        fix="add the image, or remove its name from the list",
    )


def _of_folder(top: Path, name: str) -> Iterator[Pair]:
    masks = _mask_folder(top)
    assert masks is not None  # `_find_top` has found it
    folder = top / IMAGES / name
    check_link(folder)
    if not folder.is_dir():
        known = sorted(path.name for path in (top / IMAGES).iterdir() if path.is_dir())
        raise InputError(
            f"there is no folder {name!r} of images",
            expected=f"a folder for each split in {IMAGES}/ and {masks.name}/",
            found=listed(known, 10) or "no folders",
            where=shown(folder),
            fix="name the folders by train= and test=",
        )
    walk = Walk(top)
    walk.enter(folder)
    images = walk.files(folder)
    walk.check_linked(images)
    if not images:
        raise _empty(name, folder, f"no file named {', '.join(sorted(SUFFIXES))}")
    for image in images:
        relative = image.relative_to(folder).with_suffix(MASK_SUFFIX)
        yield image, _mask(masks / name / relative, name_text(image))


def _mask(path: Path, where: str) -> Path:
    if not path.is_file():
        raise InputError(
            "an image has no mask",
            expected=f"the mask {shown(path)}",
            found="no such file",
            where=shown(where),
            fix="add the mask, or remove the image",
        )
    return path


def _empty(name: str, path: Path, found: str) -> InputError:
    return InputError(
        f"the split {name!r} is empty",
        expected="at least one image",
        found=found,
        where=shown(path),
        fix="name other lists or folders by train= and test=",
    )
