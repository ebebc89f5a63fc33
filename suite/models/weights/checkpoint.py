"""Weights of our own trials, in files that say themselves which model they hold."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save

from suite.errors import InputError, first_line
from suite.models.build import build_model
from suite.models.model import Model
from suite.models.model_cell import ModelCell
from suite.models.weights.description import check_described
from suite.models.weights.kinds import TORCH, kind_of
from suite.models.weights.reading import must_be_file
from suite.store.canonical import canonical_json
from suite.store.files import write_atomic

SUFFIX = ".safetensors"
_KEY = "lape"  # of our files' metadata: one alone, since safetensors shuffles several, and files then differ
_AGAIN = "make the file anew with `lape rerun TRIAL_ID --weights FILE`"


@dataclass(frozen=True)
class Checkpoint:
    """A trained model, what it is, and for people, the data set it was trained on and by which trial."""

    model: Model
    cell: ModelCell
    dataset: str
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


def write_checkpoint(path: Path, model: Model, cell: ModelCell, *, dataset: str, trial_id: str) -> None:
    """Write a `checkpoint_bytes`: the file is complete or not there.

    Raises:
        InputError: the folder can't be written or the disk is full.
    """
    write_atomic(path, checkpoint_bytes(model, cell, dataset=dataset, trial_id=trial_id))


def checkpoint_bytes(model: Model, cell: ModelCell, *, dataset: str, trial_id: str) -> bytes:
    """All of a model's state (frozen tables and buffers too) as safetensors, with what rebuilds it.

    The same for the same weights. The metadata `lape` are JSON: `trial_id`, `dataset`, and as `model` the cell's
    `values`.
    """
    about = {"trial_id": trial_id, "dataset": dataset, "model": cell.values()}
    state = {name: value.detach().cpu().contiguous() for name, value in model.state_dict().items()}
    return save(state, {_KEY: canonical_json(about)})


def read_checkpoint(path: Path) -> Checkpoint | None:
    """The model of a file that `write_checkpoint` wrote, or None if it is another kind of file.

    Raises:
        InputError: there is no such file, it is damaged, or this version of the suite can't build its model.
    """
    must_be_file(
        path,
        "a file of weights",
        "make one with `lape run GRID --keep-weights` or `lape rerun TRIAL_ID --weights FILE`",
    )
    kind = kind_of(path)
    if kind.readable != "safetensors" and (path.suffix != SUFFIX or kind.name == TORCH.name):
        return None
    try:
        with safe_open(path, "pt") as file:
            metadata: dict[str, str] = file.metadata() or {}
            if _KEY not in metadata:
                return None
            shapes = {name: tuple(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise InputError(
            "this file of weights is damaged",
            expected="a .safetensors file",
            found=first_line(error) if kind.readable == "safetensors" else kind.name,
            where=str(path),
            fix=_AGAIN if kind.readable else kind.fix,
        ) from None
    try:
        about = json.loads(metadata[_KEY])
        cell, dataset, trial_id = ModelCell.of(about["model"]), str(about["dataset"]), str(about["trial_id"])
        check_described(cell, shapes)
        model = build_model(cell)
        model.load_state_dict(load_file(path))
    except InputError as error:
        raise error.at(str(path)) from None
    except (ValueError, KeyError, TypeError, AttributeError, RuntimeError, ArithmeticError, MemoryError) as error:
        raise InputError(
            "this file's weights don't fit the model that it describes",
            expected="a file as `lape run --keep-weights` writes it",
            found=str(error).strip().replace("\n", " ")[:1000] or type(error).__name__,
            where=str(path),
            fix=_AGAIN,
        ) from None
    return Checkpoint(model, cell, dataset, trial_id)
