"""Images that lie in both splits or under two classes of a data set, as copies or hard links of one another."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from suite.data.names import shown
from suite.text import note

Named = tuple[bytes | str, int, str]  # an image's digest, its label and its name


class _Pairs:
    """A count of images that are copies of earlier ones, and the first such pair."""

    def __init__(self) -> None:
        self.count = 0
        self.first = ("", "")

    def add(self, name: str, earlier: str) -> None:
        self.count += 1
        if self.count == 1:
            self.first = (shown(earlier), shown(name))


def note_copies(splits: Mapping[str, Iterable[Named]]) -> None:
    """Print a note if test images are training images too, and one if the same image lies under two classes.

    Neither is refused: many data sets have a few of them.

    splits: the images of the training split, then those of the test split.
    """
    across, classes = _Pairs(), _Pairs()
    first: dict[bytes | str, tuple[str, int, str]] = {}
    for split, images in splits.items():
        for digest, label, name in images:
            earlier = first.setdefault(digest, (split, label, name))
            if earlier[0] != split:
                across.add(name, earlier[2])
            if earlier[1] != label:
                classes.add(name, earlier[2])
    told = (("test images that are training images, too", across), ("images that lie under two classes", classes))
    for what, pairs in told:
        if pairs.count:
            one, other = pairs.first
            note(
                f"{what}: {pairs.count:,}, such as {one} and {other}; remove the copies and prepare the images again, "
                "unless they are meant"
            )
