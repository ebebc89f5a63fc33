"""Making corrupted images, with the package `imagecorruptions-imaug` (the extra `corruptions`).

Each copy of an image has its own seed, so that an image's copies are the same in every subset of the test images.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module, metadata
from typing import Any

import numpy as np

from suite.data.arrays import Pixels
from suite.errors import InputError
from suite.store.canonical import derive_seed

PACKAGE = "imagecorruptions-imaug"
_MODULE = "imagecorruptions"
# The packages that compute the pixels of corrupted images.
_COMPUTE = (PACKAGE, "numpy", "numba", "opencv-python", "pillow", "scikit-image", "scipy")
_OWN_GENERATOR = ("impulse_noise", "glass_blur")  # kinds that take a seed; the others use NumPy's global generator

Corrupt = Callable[..., Any]


def corruptor() -> Corrupt:
    """The package's function that corrupts an image.

    Raises:
        InputError: the package isn't installed, or another one of the same import name is.
    """
    try:
        metadata.version(PACKAGE)
        found: Corrupt = import_module(_MODULE).corrupt
    except (metadata.PackageNotFoundError, ImportError) as error:
        raise InputError(
            "the package that corrupts images can't be used",
            expected=f"the package {PACKAGE}",
            found=str(error).strip() or type(error).__name__,
            where="this Python environment",
            fix="pip install 'lape-suite[corruptions]', or copy the corrupted copies from a machine that has them",
        ) from None
    return found


def versions() -> dict[str, str]:
    """The versions of the packages that compute the pixels, as far as they are installed."""
    found = {}
    for name in _COMPUTE:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:  # such as opencv-python-headless in place of opencv-python
            continue
    return found


def corrupted(kind: str, severity: int, seed: int, images: Pixels, indices: Sequence[int]) -> Pixels:
    """Corrupted copies of images.

    A gray image is corrupted as one of three equal channels, of which the middle one is kept.

    Args:
        kind: the kind of corruption.
        severity: 1 to 5.
        seed: of the random numbers.
        images: uint8 [N, H, W, C].
        indices: the place of each image in the test split; its seed depends on it.

    Returns:
        uint8 [N, H, W, C].

    Raises:
        InputError: the package is missing.
    """
    corrupt = corruptor()
    found = np.empty_like(images)
    with _global_generator():
        for place, (image, index) in enumerate(zip(images, indices, strict=True)):
            own = derive_seed("corruption", seed, kind, severity, int(index)) % 2**32
            np.random.seed(own)
            extra = {"seed": own} if kind in _OWN_GENERATOR else {}
            copy = corrupt(np.ascontiguousarray(image), corruption_name=kind, severity=severity, **extra)
            found[place] = copy if images.shape[-1] > 1 else copy[..., 1:2]
    return found


@contextmanager
def _global_generator() -> Iterator[None]:
    """Restore NumPy's global generator at the end."""
    state = np.random.get_state()
    try:
        yield
    finally:
        np.random.set_state(state)
