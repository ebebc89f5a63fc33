"""The extras of the project, and whether their packages are installed."""

from __future__ import annotations

from importlib.util import find_spec

# The packages of each extra in pyproject.toml, by their import names.
EXTRAS = {
    "figures": ("matplotlib", "pandas", "pyarrow"),
    "train": ("fsspec", "fvcore", "PIL", "safetensors", "simplejpeg", "sklearn", "timm", "torch", "torchvision"),
    "ray": ("ray",),
    "tensorboard": ("tensorboard",),
    "s3": ("s3fs",),
    "corruptions": ("imagecorruptions",),
}


def is_installed(package: str) -> bool:
    """Whether a package can be imported, by its import name."""
    try:
        return find_spec(package) is not None
    except ModuleNotFoundError:
        return False
