"""Weights that were kept: a file that says itself which model it holds."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save

from suite.errors import InputError, first_line
from suite.files import write_atomic
from suite.models.architectures import Architecture, resolve_architecture
from suite.models.build import create_model
from suite.models.transformer import Transformer

SUFFIX = ".safetensors"
_MODEL, _TRIAL = "lape_model", "lape_trial"  # the metadata of our files


@dataclass(frozen=True)
class Description:
    """All that it takes to build a model again; `dataset` is a name, for people."""

    architecture: Architecture
    pe: str
    join: str
    norm: str
    num_classes: int
    image_size: int
    in_chans: int
    dataset: str = ""

    def build(self) -> Transformer:
        """Such a model, with new weights; see `create_model`."""
        return create_model(
            self.architecture,
            pe=self.pe,
            join=self.join,
            norm=self.norm,
            num_classes=self.num_classes,
            image_size=self.image_size,
            in_chans=self.in_chans,
        )

    def to_json(self) -> str:
        """The inverse of `from_json`."""
        architecture = {"name": self.architecture.name, **self.architecture.canonical()}
        return json.dumps({**vars(self), "architecture": architecture}, sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> Description:
        """Raises `InputError` if this version of the suite has no such architecture."""
        values = json.loads(text)
        size = values.pop("architecture")
        name, family = size.pop("name"), size.pop("family")
        return cls(resolve_architecture(family, size, label=name), **values)


@dataclass(frozen=True)
class Checkpoint:
    """A trained model, and the trial it is of."""

    model: Transformer
    description: Description
    trial_id: str


def check_name(path: Path) -> None:
    """Raise `InputError` if a file that is to hold weights isn't called *.safetensors."""
    if path.suffix != SUFFIX:
        raise InputError(
            "weights are written as safetensors",
            expected=f"a file name that ends in {SUFFIX}",
            found=repr(path.name),
            where=str(path),
            fix=f"call it {path.with_suffix(SUFFIX).name}",
        )


def write_checkpoint(path: Path, model: Transformer, description: Description, trial_id: str) -> None:
    """Write all of a model's state (frozen tables and buffers too) as safetensors, with what rebuilds it.

    The file is complete or not there. The metadata are `lape_trial`, the trial's id, and `lape_model`, the
    description as JSON: the architecture by its sizes, pe, join, norm, num_classes, image_size, in_chans, dataset.

    Raises:
        InputError: the folder can't be written or the disk is full.
    """
    state = {name: value.detach().cpu().contiguous() for name, value in model.state_dict().items()}
    write_atomic(path, save(state, {_TRIAL: trial_id, _MODEL: description.to_json()}))


def read_checkpoint(path: Path) -> Checkpoint | None:
    """The model of a file that `write_checkpoint` wrote, or None if it is another kind of file.

    Raises:
        InputError: there is no such file, it is damaged, or this version of the suite can't build its model.
    """
    _must_exist(path)
    if path.suffix != SUFFIX:
        return None
    try:
        with safe_open(path, "pt") as file:
            metadata: dict[str, str] = file.metadata() or {}
        if _MODEL not in metadata:
            return None
        state = load_file(path)
    except (SafetensorError, OSError) as error:
        raise InputError(
            "this file of weights is damaged",
            expected="a .safetensors file",
            found=first_line(error),
            where=str(path),
            fix="make it anew with `lape rerun TRIAL_ID --weights FILE`",
        ) from None
    try:
        description = Description.from_json(metadata[_MODEL])
        model = description.build()
        model.load_state_dict(state)
    except InputError as error:
        raise error.at(str(path)) from None
    except (ValueError, KeyError, TypeError, RuntimeError) as error:
        raise InputError(
            "this file's weights don't fit the model that it describes",
            expected="a file as `lape run --keep-weights` writes it",
            found=str(error).strip().replace("\n", " "),
            where=str(path),
            fix="make the file anew with `lape rerun TRIAL_ID --weights FILE`",
        ) from None
    return Checkpoint(model, description, metadata.get(_TRIAL, ""))


def _must_exist(path: Path) -> None:
    if not path.is_file():
        raise InputError(
            "no such checkpoint",
            expected="a file of weights",
            found="a folder" if path.is_dir() else "nothing",
            where=str(path),
            fix="make one with `lape run GRID --keep-weights` or `lape rerun TRIAL_ID --weights FILE`",
        )
