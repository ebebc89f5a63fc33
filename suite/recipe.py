"""A recipe: all that fixes a training and is no axis of a grid. One YAML file in grids/recipes/ each."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

# Values that mean nothing for a distillation: left alone, so that the same training has the same id.
_WITHOUT_EFFECT = {
    "none": ("teacher", "teacher_sha256", "distillation_alpha", "distillation_temperature"),
    "hard": ("distillation_temperature",),
    "soft": (),
}


class Recipe(BaseModel):
    """How a model is trained and tested. The order of the keys and the files' layout don't matter.

    A new key needs a `neutral` value (see `suite.canonical.resolved_values`), or every trial id changes.
    """

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)

    version: int = Field(ge=1, description="raised by hand when the recipe is corrected")
    epochs: int = Field(ge=1, le=100_000)
    batch_size: int = Field(ge=1, description="images per step; a last, smaller batch is dropped")

    lr: float = Field(gt=0, description="peak learning rate of AdamW")
    warmup_epochs: int = Field(default=0, ge=0, description="epochs of linear warm-up from warmup_lr")
    warmup_lr: float = Field(default=0.0, ge=0)
    min_lr: float = Field(default=0.0, ge=0, description="where the cosine ends")
    weight_decay: float = Field(default=0.0, ge=0)
    decay_position: bool = Field(
        default=False, description="decay PE and class token too, as Compact Transformers does and DeiT doesn't"
    )
    betas: tuple[float, float] = Field(default=(0.9, 0.999), strict=False)

    label_smoothing: float = Field(default=0.0, ge=0, lt=1)
    crop_padding: int = Field(
        default=0, ge=0, le=256, description="pixels of zero padding before a random crop; 0: no crop"
    )
    flip: bool = Field(default=False, description="horizontal flip of every other image, at random")

    distillation: Literal["none", "soft", "hard"] = Field(
        default="none",
        description="what the distillation head learns from the teacher: its softened logits, or its choice of class",
        json_schema_extra={"neutral": "none"},
    )
    teacher: str | None = Field(
        default=None,
        pattern=r"^\w[\w.-]*$",
        description="timm's name of a model with the data set's classes, in their order; it sees the student's batches",
        json_schema_extra={"neutral": None},
    )
    teacher_sha256: str | None = Field(
        default=None,
        pattern=r"^[0-9a-f]{64}$",
        description="of the teacher's weights, as `lape data teacher` prints it",
        json_schema_extra={"neutral": None},
    )
    distillation_alpha: float = Field(
        default=0.5,
        ge=0,
        le=1,
        description="the teacher's share in the loss; DeiT's soft distillation has 0.1",
        json_schema_extra={"neutral": 0.5},
    )
    distillation_temperature: float = Field(
        default=3.0, gt=0, description="DeiT's tau, of soft distillation", json_schema_extra={"neutral": 3.0}
    )

    train_images: int | None = Field(
        default=None, ge=1, description="a fixed subset of the training images, balanced over classes; null: all"
    )
    test_every: int = Field(
        default=1, ge=1, description="epochs from one test to the next; the last epoch is tested in any case"
    )
    precision: Literal["auto", "fp32"] = Field(
        default="auto", description="auto: bfloat16 autocast (float16 before it) on a GPU, float32 on a CPU"
    )

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.warmup_epochs >= self.epochs:
            raise ValueError(f"warmup_epochs ({self.warmup_epochs}) must be less than epochs ({self.epochs})")
        if self.test_every > self.epochs:
            raise ValueError(f"test_every ({self.test_every}) must not exceed epochs ({self.epochs})")
        for name in ("warmup_lr", "min_lr"):
            if getattr(self, name) > self.lr:
                raise ValueError(f"{name} ({getattr(self, name)}) must not exceed lr ({self.lr})")
        if not all(0 <= beta < 1 for beta in self.betas):
            raise ValueError(f"betas must lie in [0, 1), not {list(self.betas)}")
        return self

    @model_validator(mode="after")
    def _whole_distillation(self) -> Self:
        for name in _WITHOUT_EFFECT[self.distillation]:
            if getattr(self, name) != type(self).model_fields[name].default:
                raise ValueError(f"{name} has no effect with distillation: {self.distillation}, and must be left out")
        for name in ("teacher", "teacher_sha256"):
            if self.distillation != "none" and getattr(self, name) is None:
                raise ValueError(f"distillation: {self.distillation} needs a {name}, as `lape data teacher` prints it")
        return self
