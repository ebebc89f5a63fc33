"""The record of a run: what is stored of a training. Its field names are public."""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field

SCHEMA_VERSION = 1

# From version n to n + 1: each function rewrites the JSON object of one record.
MIGRATIONS: dict[int, Callable[[dict[str, Any]], dict[str, Any]]] = {}

Status = Literal["done", "diverged", "error", "timeout", "oom"]
AXIS_FIELDS = ("dataset", "arch", "pe", "join", "norm", "loss")  # in the order of tables
FAILURES: tuple[Status, ...] = ("diverged", "error", "timeout", "oom")

# Fields that differ between two runs of the same trial on the same machine.
VOLATILE = ("started_at", "train_seconds", "images_per_second", "peak_memory_mb")


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Environment(_Model):
    """Where a run was made. Runs whose `group` differs may differ in their last digits, or more."""

    torch: str
    device: str = Field(description="'cpu', or the GPU's name")
    precision: str = Field(description="fp32, bf16 or fp16: what was used, not what was asked for")
    python: str
    platform: str
    processor: str
    threads: int
    suite: str
    commit: str | None = Field(description="git commit of the code, with '+dirty' if it had local changes")

    @property
    def group(self) -> str:
        """What two sides of a contrast must share to be compared without a footnote."""
        return f"torch {self.torch}, {self.device}, {self.precision}"


class Epoch(_Model):
    """One epoch of a training; accuracies in percent, losses are means over images. Null: not tested."""

    epoch: int
    lr: float
    train_loss: float
    top1: float | None
    test_loss: float | None
    seconds: float = Field(description="of training, without the test")


class RunRecord(_Model):
    """The outcome of a run. Numbers that a failed run doesn't have are null, never zero."""

    schema_version: int = SCHEMA_VERSION
    trial_id: str
    cell_id: str
    grid: str
    status: Status

    arch: str
    pe: str
    join: str
    norm: str
    loss: str
    dataset: str
    recipe: str
    seed_index: int

    epochs: int = Field(description="epochs completed")
    top1: float | None = Field(default=None, description="percent, test set, last epoch")
    top1_best_epoch: float | None = Field(default=None, description="percent, best epoch on the test set: optimistic")
    test_loss: float | None = None
    params: int | None = None
    macs: int | None = Field(default=None, description="multiply-accumulates of one image")

    train_seconds: float | None = Field(default=None, description="training and its evaluations, without set-up")
    images_per_second: float | None = Field(default=None, description="training images, evaluations excluded")
    peak_memory_mb: float | None = Field(default=None, description="of the GPU, or of the process on a CPU")
    started_at: str = Field(description="UTC, ISO 8601")
    environment: Environment

    test_images: int | None = None
    correct: str | None = Field(default=None, description="a bit per test image, packed, base64: was it right?")
    diverged_step: int | None = Field(default=None, description="the step, from 0, whose loss was not finite")
    error: str | None = Field(default=None, description="the end of the traceback")
    config: dict[str, Any] = Field(description="what the trial id was made of")
    history: tuple[Epoch, ...] | None = Field(default=None, description="kept in history.parquet once collected")


def pack_bits(correct: npt.NDArray[np.bool_]) -> str:
    """A bit per test image, in canonical order, as base64."""
    return base64.b64encode(np.packbits(correct).tobytes()).decode("ascii")


def unpack_bits(packed: str, count: int) -> npt.NDArray[np.bool_]:
    """The inverse of `pack_bits` for `count` images."""
    return np.unpackbits(np.frombuffer(base64.b64decode(packed), np.uint8), count=count).astype(bool)
