"""The keys of a recipe that say how long a model is trained, and how its steps are taken."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field


def neutral(value: Any) -> dict[str, Any]:
    """Declare the value of a key that means what was done before the key existed: see `resolved_values`."""
    return {"neutral": value}


class StepKeys(BaseModel):
    """Epochs, batches, optimiser and learning rate. `suite.grid.recipe.Recipe` has the other keys."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)

    version: int = Field(ge=1, description="raised by hand when the recipe is corrected")
    epochs: int = Field(ge=1, le=100_000, description="passes over the data")
    batch_size: int = Field(ge=1, description="images per step; a last, smaller batch is dropped")
    cpu_micro_batch: int | None = Field(
        default=None,
        ge=1,
        description="most images per forward and backward pass on a CPU",
        json_schema_extra=neutral(None),
    )

    optimiser: Literal["adamw", "sgd"] = Field(
        default="adamw", description="what takes the steps", json_schema_extra=neutral("adamw")
    )
    momentum: float = Field(default=0.0, ge=0, lt=1, description="of SGD", json_schema_extra=neutral(0.0))
    lr: float = Field(gt=0, description="peak learning rate")
    warmup_epochs: int = Field(default=0, ge=0, description="epochs of linear warm-up from warmup_lr")
    warmup_lr: float = Field(default=0.0, ge=0, description="where the warm-up starts")
    warmup: Literal["linear", "harmonic"] = Field(
        default="linear",
        description="harmonic: lr / (warmup_epochs - epoch), as Compact Transformers' first script has it",
        json_schema_extra=neutral("linear"),
    )
    warmup_prefix: bool = Field(
        default=False,
        description="the decay starts after the warm-up, from its peak; otherwise both start at epoch 0",
        json_schema_extra=neutral(False),
    )
    min_lr: float = Field(default=0.0, ge=0, description="where the decay ends")
    decay: Literal["cosine", "polynomial"] = Field(
        default="cosine",
        description="how the learning rate falls from lr to min_lr; polynomial: as (1 - t/T) to the power decay_power",
        json_schema_extra=neutral("cosine"),
    )
    decay_power: float = Field(
        default=1.0, gt=0, le=10, description="of the polynomial decay", json_schema_extra=neutral(1.0)
    )
    cooldown_epochs: int = Field(
        default=0, ge=0, le=100_000, description="further epochs, at min_lr", json_schema_extra=neutral(0)
    )
    schedule_unit: Literal["epoch", "step"] = Field(
        default="epoch", description="how often the learning rate changes", json_schema_extra=neutral("epoch")
    )
    schedule_lag: bool = Field(
        default=False,
        description="each learning rate comes one unit late, and the first lasts two, as in DeiT and Swin",
        json_schema_extra=neutral(False),
    )
    weight_decay: float = Field(default=0.0, ge=0, description="weight decay, without norms and biases")
    decay_position: bool = Field(
        default=False, description="decay PE and class token, as in Compact Transformers and unlike DeiT"
    )
    decay_relative_position: bool = Field(
        default=True,
        description="weight decay of a relative PE's tables, as in LaPE's released code and unlike Swin's trainer",
        json_schema_extra=neutral(True),
    )
    decay_all: bool = Field(
        default=False, description="decay all parameters, also norms and biases", json_schema_extra=neutral(False)
    )
    betas: tuple[float, float] = Field(default=(0.9, 0.999), strict=False, description="β₁ and β₂ of AdamW")
    eps: float = Field(default=1e-8, gt=0, le=1, description="ε of AdamW", json_schema_extra=neutral(1e-8))
    clip_grad: float | None = Field(
        default=None, gt=0, description="clip the norm of all gradients together", json_schema_extra=neutral(None)
    )
    ema_decay: float | None = Field(
        default=None,
        ge=0,
        lt=1,
        description="test a moving average of the weights with this decay per step; null: test the weights",
        json_schema_extra=neutral(None),
    )
