"""Weight files of the suite's own trials. Their metadata describe the model, so a file can be loaded on its own."""

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
_KEY = "lape"  # the only metadata key: safetensors writes several keys in random order, so files would differ
_AGAIN = "make the file anew with `lape rerun TRIAL_ID --weights FILE`"


@dataclass(frozen=True)
class Checkpoint:
    """A trained model and its definition. The data set and the trial that trained it are for information only."""

    model: Model
    cell: ModelCell
    dataset: str
    trial_id: str


def check_name(path: Path) -> None:
    """Raise `InputError` if the name of a weight file to be written doesn't end in .safetensors."""
    if path.suffix != SUFFIX:
        raise InputError(
            "weights are written as safetensors",
            expected=f"a file name that ends in {SUFFIX}",
            found=repr(path.name),
            where=str(path),
            fix=f"call it {path.with_suffix(SUFFIX).name}",
        )


def write_checkpoint(path: Path, model: Model, cell: ModelCell, *, dataset: str, trial_id: str) -> None:
    """Write `checkpoint_bytes` to a file atomically: the file is complete, or it isn't there.

    Args:
        path: the file to write.
        model: the trained model.
        cell: the model's definition.
        dataset: the name of the data set.
        trial_id: the trial that trained the model.

    Raises:
        InputError: the folder can't be written or the disk is full.
    """
    write_atomic(path, checkpoint_bytes(model, cell, dataset=dataset, trial_id=trial_id))


def checkpoint_bytes(model: Model, cell: ModelCell, *, dataset: str, trial_id: str) -> bytes:
    """A model's complete state dict as safetensors, with the metadata that `read_checkpoint` needs to rebuild it.

    Equal weights and metadata give equal bytes. The metadata key `lape` holds JSON with the keys `trial_id`, `dataset`
    and `model` (the cell's `values`).

    Args:
        model: the trained model.
        cell: the model's definition.
        dataset: the name of the data set.
        trial_id: the trial that trained the model.
    """
    about = {"trial_id": trial_id, "dataset": dataset, "model": cell.values()}
    state = {name: value.detach().cpu().contiguous() for name, value in model.state_dict().items()}
    return save(state, {_KEY: canonical_json(about)})


def read_checkpoint(path: Path) -> Checkpoint | None:
    """Load a file that `write_checkpoint` wrote. Returns None for any other kind of file.

    Raises:
        InputError: the file doesn't exist or is damaged, or this version of the suite can't build its model.
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
