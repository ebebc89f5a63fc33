"""Weights of other models in the data root, read and held against their checksum."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import safetensors

from suite.errors import InputError, first_line
from suite.models.weights.reading import weights_checksum


@dataclass(frozen=True)
class Wanted:
    """Which weights are read, for messages.

    Attributes:
        missing: what isn't prepared, with its verb: "the teacher 'resnet50' is".
        damaged: what is damaged, in the plural.
        nothing: what is found where there are none at all.
        key: the recipe's key that names them.
        command: what prepares them.
    """

    missing: str
    damaged: str
    nothing: str
    key: str
    command: str

    def fault(self, path: Path, expected: str, found: str) -> InputError:
        """The error of a damaged file."""
        return InputError(
            f"{self.damaged} are damaged on disk",
            expected=expected,
            found=found,
            where=str(path),
            fix=f"run: {self.command}",
        )


def read_verified(path: Path, checksum: str, wanted: Wanted) -> bytes:
    """The content of a file of weights.

    Raises:
        InputError: there is no such file, or it is damaged.
    """
    try:
        content = path.read_bytes()
        found = weights_checksum(content)
    except FileNotFoundError as error:
        others = sorted(file.stem for file in path.parent.glob("*.safetensors"))
        raise InputError(
            f"{wanted.missing} not prepared",
            expected=f"weights with the SHA-256 {checksum}",
            found=f"weights with the SHA-256 {', '.join(others)}" if others else wanted.nothing,
            where=str(path.parent),
            fix=f"run: {wanted.command}; or take the recipe's {wanted.key} from what that command prints",
        ) from error
    except (OSError, safetensors.SafetensorError) as error:
        raise wanted.fault(path, "a file of safetensors", first_line(error)) from error
    if found != checksum:
        raise wanted.fault(path, f"SHA-256 {checksum}", f"SHA-256 {found}")
    return content
