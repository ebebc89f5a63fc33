"""Where variation comes from: what differs between the training runs of two seeds. Needs no torch."""

from __future__ import annotations

from typing import Annotated, Any, Literal, get_args

from pydantic import BeforeValidator, Field

Source = Literal["init", "order", "augmentation", "dropout", "data"]
SOURCES: tuple[Source, ...] = get_args(Source)  # in the order in which ids have them
USUAL_SOURCES = SOURCES[:-1]  # training images are redrawn only where a recipe says so


def parse_sources(value: Any) -> Any:
    """One source, or several in any order: they are the same training run, and have one id.

    Raises:
        ValueError: a source stands twice.
    """
    listed = [value] if isinstance(value, str) else value
    if not isinstance(listed, list | tuple) or not all(isinstance(one, str) for one in listed):
        return value
    if len(set(listed)) < len(listed):
        raise ValueError(f"each source once, not {list(listed)}")
    unknown = [one for one in listed if one not in SOURCES]
    return (*unknown, *(one for one in SOURCES if one in listed))


Sources = Annotated[
    tuple[Source, ...],
    BeforeValidator(parse_sources),
    Field(
        strict=False,
        min_length=1,
        description="what differs from seed to seed: init, order, augmentation, dropout, and data (a drawing of "
        "train_images); the rest is as with seed 0",
    ),
]
