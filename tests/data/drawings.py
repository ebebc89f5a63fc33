"""Pictures for tests: a disc, a square or a cross, on a slanting background."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

CLASSES = ("disc", "square", "cross")


def drawing(kind: str, index: int, size: tuple[int, int] = (12, 12), mode: str = "RGB") -> Image.Image:
    """The index-th picture of a kind: place, extent and colours differ."""
    random = np.random.default_rng([CLASSES.index(kind), index])
    width, height = size
    slope = np.add.outer(np.arange(height), np.arange(width))[..., None] * random.integers(1, 4, 3)
    image = Image.fromarray((slope % 256).astype(np.uint8))
    colour = tuple(int(value) for value in random.integers(100, 256, 3))
    radius = int(random.integers(2, 4))
    x, y = (int(random.integers(radius, side - radius)) for side in size)
    box = (x - radius, y - radius, x + radius, y + radius)
    pen = ImageDraw.Draw(image)
    if kind == "disc":
        pen.ellipse(box, fill=colour)
    elif kind == "square":
        pen.rectangle(box, fill=colour)
    else:
        pen.line((*box[:2], *box[2:]), fill=colour)
        pen.line((box[0], box[3], box[2], box[1]), fill=colour)
    return image.convert(mode)


def change_in_secret(path: Path) -> None:
    """Change the last byte of a file; for an uncompressed image, a pixel. Size and modification time stay."""
    content, status = bytearray(path.read_bytes()), path.stat()
    content[-1] ^= 1
    path.write_bytes(content)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
