"""How many training images a recipe holds out for validation. Needs no torch."""

from __future__ import annotations

Validation = int | float | None


def parse_validation(value: object) -> Validation:
    """Return a value of `validation` as a recipe or a record's config holds it.

    Raises:
        ValueError: it is neither a number of images nor a part of them.
    """
    if value is None or (type(value) is int and value >= 1):
        return value
    if type(value) is float and 0 < value < 1:
        return value
    raise ValueError("a number of training images (at least 1), a part of them (above 0, below 1), or null")


def count_validation(validation: Validation, images: int) -> int:
    """The number of images that are held out of `images` training images: a part is rounded, to one at least."""
    if isinstance(validation, float):
        return max(round(validation * images), 1)
    return validation or 0
