"""A recipe: all settings of a training run that aren't axes of a grid. Each is a YAML file in grids/recipes/."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import BeforeValidator, Field, field_validator, model_validator

from suite.data.corruptions.settings import Corruptions
from suite.errors import InputError
from suite.grid.auto_augment import parse_policy
from suite.grid.idle_keys import idle_keys
from suite.grid.pretrained import Pretrained
from suite.grid.scenes import Scenes
from suite.grid.sources import USUAL_SOURCES, Sources
from suite.grid.step_keys import StepKeys, neutral
from suite.plain_errors import RefusedValueError
from suite.store.canonical import canonical_json
from suite.store.held_out import Validation, parse_validation
from suite.store.tested_epochs import TestEvery, epochs_tested, parse_test_every

AskedPrecision = Literal["auto", "fp32", "bf16"]
WHOLE_RATIO = (0.75, 1.3333333333333333)  # aspect ratios of random resized crops: 3/4 to 4/3


class Recipe(StepKeys):
    """How a model is trained and tested. The order of the keys in the file doesn't matter.

    A new key needs a `neutral` value (see `suite.store.canonical.resolved_values`). Without it, every trial id changes.
    """

    label_smoothing: float = Field(default=0.0, ge=0, lt=1, description="of the cross entropy")
    crop_padding: int = Field(
        default=0, ge=0, le=256, description="pixels of zero padding before a random crop; 0: no crop"
    )
    crop_scale: tuple[float, float] | None = Field(
        default=None,
        strict=False,
        description="random resized crop: the smallest and largest share of the image's area",
        json_schema_extra=neutral(None),
    )
    crop_ratio: tuple[float, float] = Field(
        default=WHOLE_RATIO,
        strict=False,
        description="random resized crop: the smallest and largest width to height",
        json_schema_extra=neutral(list(WHOLE_RATIO)),
    )
    flip: bool = Field(default=False, description="flip images horizontally, with probability 1/2")
    scenes: Scenes | None = Field(
        default=None,
        description="of images with masks that are larger than the model's input: random scales, crops and colours in "
        "training, and windows in tests",
        json_schema_extra=neutral(None),
    )
    auto_augment: str | None = Field(
        default=None,
        max_length=100,
        description="RandAugment in timm's syntax, such as rand-m9-mstd0.5-inc1, after crop and flip; or cifar10, "
        "AutoAugment's policy, before them",
        json_schema_extra=neutral(None),
    )
    interpolation: Literal["bilinear", "bicubic", "random"] = Field(
        default="bicubic",
        description="interpolation of random resized crops and RandAugment; random: one of the two for each image",
        json_schema_extra=neutral("bicubic"),
    )
    resizer: Literal["pillow", "torch"] = Field(
        default="pillow", description="what resizes random crops of image files; torch is faster, and some values "
        "differ by 1 or 2", json_schema_extra=neutral("pillow"),
    )  # fmt: skip
    erase_prob: float = Field(
        default=0.0, ge=0, le=1, description="probability of random erasing", json_schema_extra=neutral(0.0)
    )
    erase_mode: Literal["const", "rand", "pixel"] = Field(
        default="pixel",
        description="colour of erased boxes: the mean, a random one, or a random one for each pixel",
        json_schema_extra=neutral("pixel"),
    )
    erase_count: int = Field(
        default=1, ge=1, le=100, description="most boxes erased in an image", json_schema_extra=neutral(1)
    )
    mixup: float = Field(
        default=0.0, ge=0, le=1000, description="alpha of Mixup; 0: none", json_schema_extra=neutral(0.0)
    )
    cutmix: float = Field(
        default=0.0, ge=0, le=1000, description="alpha of CutMix; 0: none", json_schema_extra=neutral(0.0)
    )
    mixup_prob: float = Field(
        default=1.0, ge=0, le=1, description="probability that images are mixed", json_schema_extra=neutral(1.0)
    )
    mixup_switch_prob: float = Field(
        default=0.5, ge=0, le=1, description="probability of CutMix, beside Mixup", json_schema_extra=neutral(0.5)
    )
    mixup_mode: Literal["batch", "pair", "elem"] = Field(
        default="batch",
        description="what is mixed alike: a batch, a pair of images, or each image for itself",
        json_schema_extra=neutral("batch"),
    )
    cutmix_grid: int | None = Field(
        default=None,
        ge=1,
        le=1024,
        description="CutMix boxes consist of cells of this many pixels a side, like patches; null: of any pixels",
        json_schema_extra=neutral(None),
    )
    mixup_off_epoch: int = Field(
        default=0, ge=0, description="no mixing from this epoch on; 0: it never ends", json_schema_extra=neutral(0)
    )
    mixup_first: bool = Field(
        default=False,
        description="mix before erasing, as timm's prefetching loader does",
        json_schema_extra=neutral(False),
    )
    repeats: int = Field(
        default=1,
        ge=1,
        le=100,
        description="repeated augmentation: each image is taken this many times in a row. An epoch keeps its length",
        json_schema_extra=neutral(1),
    )

    cosine_weight: float = Field(
        default=1.0,
        ge=0,
        description="weight of the loss term that compares the patches of an image",
        json_schema_extra=neutral(1.0),
    )
    contrastive_weight: float = Field(
        default=1.0,
        ge=0,
        description="weight of the loss term that compares a patch with its value in an earlier layer",
        json_schema_extra=neutral(1.0),
    )
    mixing_weight: float = Field(
        default=1.0,
        ge=0,
        description="weight of the loss term that classifies patches",
        json_schema_extra=neutral(1.0),
    )

    loss_weights: dict[str, Annotated[float, Field(ge=0)]] = Field(
        default={},
        max_length=20,
        description="weights of other loss terms by name; a term that isn't named has 1",
        json_schema_extra=neutral({}),
    )

    distillation: Literal["none", "soft", "hard"] = Field(
        default="none",
        description="what the distillation head learns from the teacher: its softened logits, or its choice of class",
        json_schema_extra=neutral("none"),
    )
    teacher: str | None = Field(
        default=None,
        pattern=r"^\w[\w.-]*$",
        description="timm's name of a model with the data set's classes, in their order; it sees the student's batches",
        json_schema_extra=neutral(None),
    )
    teacher_sha256: str | None = Field(
        default=None,
        pattern=r"^[0-9a-f]{64}$",
        description="checksum of the teacher's weights, as `lape data teacher` prints it",
        json_schema_extra=neutral(None),
    )
    distillation_alpha: float = Field(
        default=0.5,
        ge=0,
        le=1,
        description="the teacher's share in the loss; DeiT's soft distillation has 0.1",
        json_schema_extra=neutral(0.5),
    )
    distillation_temperature: float = Field(
        default=3.0, gt=0, description="temperature τ of soft distillation", json_schema_extra=neutral(3.0)
    )

    pretrained: Pretrained | None = Field(
        default=None,
        description="weights that a training run starts from, all but the head, which is drawn; null: all are drawn",
        json_schema_extra=neutral(None),
    )
    backbone_sha256: str | None = Field(
        default=None,
        pattern=r"^[0-9a-f]{64}$",
        description="checksum of a frozen backbone's weights, as `lape data backbone` prints it; of architectures that "
        "group patches into regions",
        json_schema_extra=neutral(None),
    )

    train_images: int | None = Field(
        default=None, ge=1, description="a fixed subset of the training images, balanced over classes; null: all"
    )
    validation: Annotated[Validation, BeforeValidator(parse_validation)] = Field(
        default=None,
        description="training images to hold out and to evaluate beside the test set: a number, or a part (0.1)",
        json_schema_extra=neutral(None),
    )
    validation_by_seed: bool = Field(
        default=False, description="hold out other images for each seed", json_schema_extra=neutral(False)
    )
    vary: Sources = Field(default=USUAL_SOURCES, json_schema_extra=neutral([*USUAL_SOURCES]))
    test_every: Annotated[TestEvery, BeforeValidator(parse_test_every)] = Field(
        default=1,
        description="epochs from one test to the next, a part of the training (0.1: at every tenth), or a list of "
        "epochs; the last epoch is tested in any case",
    )
    test_crop_ratio: float = Field(
        default=1.0,
        gt=0.1,
        le=1,
        description="test images are resized to the image size over this, and cropped at the centre",
        json_schema_extra=neutral(1.0),
    )
    corruptions: Corruptions | None = Field(
        default=None,
        description="corrupted copies of the test images, on which the model is tested once, after the last epoch; "
        "{}: all 15 kinds at 5 severities",
        json_schema_extra=neutral(None),
    )
    precision: AskedPrecision = Field(
        default="auto",
        description="auto: bfloat16 autocast (float16 before it) on a GPU, float32 on a CPU; bf16: bfloat16 on both",
    )

    def __hash__(self) -> int:  # pydantic's own can't take the dictionary
        return hash(canonical_json(self.model_dump(mode="json")))

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.warmup_epochs >= self.epochs:
            raise ValueError(f"warmup_epochs ({self.warmup_epochs}) must be less than epochs ({self.epochs})")
        last = self.test_every[-1] if isinstance(self.test_every, tuple) else self.test_every
        if last > self.total_epochs:
            raise ValueError(f"test_every ({last}) must not exceed epochs ({self.total_epochs})")
        if self.warmup == "harmonic" and self.schedule_unit == "step":
            raise ValueError("schedule_unit: epoch with warmup: harmonic, which has no bound between epochs")
        for name in ("warmup_lr", "min_lr"):
            if getattr(self, name) > self.lr:
                raise ValueError(f"{name} ({getattr(self, name)}) must not exceed lr ({self.lr})")
        if not all(0 <= beta < 1 for beta in self.betas):
            raise ValueError(f"betas must lie in [0, 1), not {list(self.betas)}")
        return self

    @field_validator("auto_augment")
    @classmethod
    def _policy(cls, text: str | None) -> str | None:
        try:
            if text is not None:
                parse_policy(text)
        except InputError as error:
            (problem,) = error.problems
            raise RefusedValueError(
                problem.what, expected=problem.expected, found=problem.found, fix=problem.fix
            ) from None
        return text

    @model_validator(mode="after")
    def _whole_augmentation(self) -> Self:
        scale, ratio = self.crop_scale, self.crop_ratio
        if scale is not None and not 0 < scale[0] <= scale[1] <= 1:
            raise ValueError(f"crop_scale must rise from above 0 to at most 1, not {list(scale)}")
        if not 0.001 <= ratio[0] <= ratio[1] <= 1000:
            raise ValueError(f"crop_ratio must rise from at least 0.001 to at most 1000, not {list(ratio)}")
        if self.crop_scale is not None and self.crop_padding:
            raise ValueError("one kind of crop, crop_scale or crop_padding, not both")
        if self.mixes and self.batch_size % 2:
            raise ValueError(f"an even batch_size, to mix images in pairs, not {self.batch_size}")
        if self.mixup_off_epoch >= self.total_epochs:
            raise ValueError(f"mixup_off_epoch ({self.mixup_off_epoch}) must be less than the number of epochs")
        return self

    @model_validator(mode="after")
    def _whole_distillation(self) -> Self:
        for name in ("teacher", "teacher_sha256"):
            if self.distillation != "none" and getattr(self, name) is None:
                raise ValueError(f"distillation: {self.distillation} needs a {name}, as `lape data teacher` prints it")
        return self

    @model_validator(mode="after")
    def _all_has_effect(self) -> Self:
        """Refuse a value without effect: it would give the same training run another id."""
        if "data" in self.vary and self.train_images is None:
            raise ValueError("vary: data needs train_images: all of the training images can't be redrawn")
        for reason, names in idle_keys(self):
            for name in names:
                if getattr(self, name) != type(self).model_fields[name].default:
                    raise ValueError(f"{name} has no effect {reason}, and must be left out")
        return self

    @property
    def total_epochs(self) -> int:
        """The number of epochs, with those of the cool-down."""
        return self.epochs + self.cooldown_epochs

    @property
    def tested_epochs(self) -> frozenset[int]:
        """The epochs after which a run is tested, counted from 1."""
        return epochs_tested(self.test_every, self.total_epochs)

    @property
    def mixes(self) -> bool:
        """Whether images are mixed with each other."""
        return self.mixup > 0 or self.cutmix > 0
