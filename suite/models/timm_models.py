"""The named architectures among timm's models: `import suite.models.timm_models`, then `timm.create_model("lape_…")`.

timm's scripts load no plug-ins, so they are run by this module:

    python -m suite.models.timm_models train.py --model lape_deit_tiny_patch16_224 --model-kwargs join=default …
"""

from __future__ import annotations

import runpy
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any, cast

from timm.data.constants import IMAGENET_DEFAULT_MEAN, IMAGENET_DEFAULT_STD
from timm.models import build_model_with_cfg, generate_default_cfgs, register_model
from torch import Tensor, nn

from suite.errors import InputError
from suite.models.architectures import FAMILIES, Family, named_architectures, resolve_architecture
from suite.models.build import create_model
from suite.models.families.deit import DistilledDeiT
from suite.models.families.transformer import Transformer, VisionTransformer

__all__: list[str] = []  # timm adds the names of what is registered

CIFAR10_MEAN = (0.4914, 0.4822, 0.4465)
CIFAR10_STD = (0.2470, 0.2435, 0.2616)


@dataclass(frozen=True)
class Published:
    """How a family was published: what its names end with, its position embedding, and its images.

    crop: the side of the centre crop in evaluation by that of the resized image. decayed: the PE and the
    class token had weight decay.
    """

    suffix: str
    image_size: int
    crop: float
    pe: str = "learnable"
    decayed: bool = False


PUBLISHED = {
    **dict.fromkeys(("deit", "vit", "vit_late", "deit_distilled", "ceit"), Published("_patch16_224", 224, 0.875)),
    "t2t_vit": Published("", 224, 0.9, pe="sin1d"),
    "swin": Published("_patch4_window7_224", 224, 0.875, pe="learnable+rpe2d"),
    **dict.fromkeys(("vit_lite", "cvt", "cct"), Published("_32", 32, 1.0, decayed=True)),
}
# What timm's scripts pass, and our models, as published, don't have.
DROPOUTS = ("drop_rate", "proj_drop_rate", "pos_drop_rate", "patch_drop_rate", "drop_block_rate")
NAMES_OF_RATES = {"drop_path_rate": "drop_path", "attn_drop_rate": "attn_drop"}


class TimmModel(Transformer):
    """What timm's scripts ask of a model, beside being called."""

    norm: nn.LayerNorm
    head: Any

    @property
    def num_classes(self) -> int:
        """Of the head, 0 without one."""
        return self.head.out_features if isinstance(self.head, nn.Linear) else 0

    @property
    def num_features(self) -> int:
        """The width of the head's input."""
        return int(self.norm.normalized_shape[0])

    @property
    def head_hidden_size(self) -> int:
        """The width of the head's input."""
        return self.num_features

    def get_classifier(self) -> Any:
        """The head."""
        return self.head

    def reset_classifier(self, num_classes: int, global_pool: str | None = None) -> None:
        """A new head, drawn by torch's global generator, or none for 0 classes."""
        _refuse_pool(global_pool)
        self.head = self._new_head(num_classes)

    def _new_head(self, num_classes: int) -> nn.Module:
        if num_classes == 0:
            return nn.Identity()
        weight = self.norm.weight
        head = nn.Linear(self.num_features, num_classes, device=weight.device, dtype=weight.dtype)
        nn.init.trunc_normal_(head.weight, std=0.02)
        nn.init.zeros_(head.bias)
        return head.train(self.training)

    def no_weight_decay(self) -> set[str]:
        """The parameters of more than one dimension that had no weight decay as published."""
        if PUBLISHED[self.architecture.family.name].decayed:
            return set()
        swin = self.architecture.family.name == "swin"
        relative = {name for name, _ in self.named_parameters() if swin and ".biases." in name}
        return self.position_and_class_parameters() | relative

    def set_grad_checkpointing(self, enable: bool = True) -> None:
        """Not there; False is accepted."""
        if enable:
            raise InputError(
                "these models have no gradient checkpointing",
                expected="a run without it",
                found="set_grad_checkpointing",
                fix="leave out --grad-checkpointing, or put the join into timm's own model by suite.models.apply_join",
            )


class TimmVisionTransformer(TimmModel, VisionTransformer):
    """A model whose forward has two parts."""

    def forward_features(self, images: Tensor) -> Tensor:
        """[batch, channels, height, width] to normalised tokens [batch, tokens, width]."""
        features: Tensor = self.norm(self.encode(self.embed(images)))
        return features

    def forward_head(self, x: Tensor, pre_logits: bool = False) -> Tensor:
        """Tokens to logits [batch, classes], or to what the head sees."""
        pooled: Tensor = self.pool(x)
        return pooled if pre_logits else self.head(pooled)


class TimmDistilled(TimmVisionTransformer, DistilledDeiT):
    """As timm's: the two heads' mean, and in training their pair if `set_distilled_training` asks for it."""

    distillation_head: Any
    distilled_training = False

    def set_distilled_training(self, enable: bool = True) -> None:
        """Whether a forward in training returns the logits of both heads."""
        self.distilled_training = enable

    def get_classifier(self) -> Any:
        """Both heads."""
        return self.head, self.distillation_head

    def reset_classifier(self, num_classes: int, global_pool: str | None = None) -> None:
        """New heads."""
        super().reset_classifier(num_classes, global_pool)
        self.distillation_head = self._new_head(num_classes)

    def forward_head(self, x: Tensor, pre_logits: bool = False) -> Any:
        """Tokens to logits [batch, classes], or to the mean of what the heads see."""
        if pre_logits:
            return (x[:, 0] + x[:, 1]) / 2
        logits, distilled = self.head(x[:, 0]), self.distillation_head(x[:, 1])
        return (logits, distilled) if self.training and self.distilled_training else (logits + distilled) / 2

    def classify(self, x: Tensor) -> Any:
        """Normalised tokens to logits [batch, classes], or to the two heads' pair."""
        return self.forward_head(x)


def _refuse_pool(global_pool: str | None) -> None:
    if global_pool is not None:
        raise InputError(
            "the pooling of these models is part of their architecture",
            expected="no global_pool",
            found=f"global_pool {global_pool!r}",
            fix="leave it out, or choose another model",
        )


def _timm_class(family: Family) -> type[Transformer]:
    """The family's class with timm's interface."""
    module, name = family.builder.split(":")
    ours: type[Transformer] = getattr(import_module(module), name)
    if issubclass(ours, DistilledDeiT):
        return TimmDistilled
    base = TimmVisionTransformer if issubclass(ours, VisionTransformer) else TimmModel
    return type(f"Timm{name}", (base, ours), {"__module__": __name__, "__doc__": f"{name} with timm's interface."})


def _build(
    name: str,
    *,
    num_classes: int,
    in_chans: int,
    img_size: int | Sequence[int],
    pe: str | None = None,
    join: str = "lape",
    norm: str | None = None,
    global_pool: str | None = None,
    **settings: Any,
) -> Transformer:
    _refuse_pool(global_pool)
    for rate in DROPOUTS:
        if settings.pop(rate, 0):
            raise InputError(
                f"these models have no {rate}",
                expected=f"{rate} 0, or none; attn_drop_rate and drop_path_rate are there",
                found=f"another {rate}",
                fix="leave it out",
            )
    sides = {img_size} if isinstance(img_size, int) else set(img_size)
    if len(sides) != 1:
        raise InputError(
            "these models are for square images",
            expected="img_size as one number, or twice the same",
            found=f"img_size {img_size}",
            fix="choose one number",
        )
    overrides = {NAMES_OF_RATES.get(key, key): value for key, value in settings.items()}
    named = resolve_architecture(name)
    architecture = resolve_architecture(name, overrides)
    builder = f"{__name__}:{_CLASSES[named.family.name].__name__}"
    model = create_model(
        replace(architecture, family=replace(architecture.family, builder=builder)),
        pe=pe or PUBLISHED[named.family.name].pe,
        join=join,
        norm=norm,
        num_classes=num_classes or 1,
        image_size=sides.pop(),
        in_chans=in_chans,
    )
    if not num_classes and isinstance(model, TimmModel):
        model.reset_classifier(0)
    return cast(Transformer, model)


def _entry(name: str, timm_name: str) -> Callable[..., nn.Module]:
    def build(pretrained: bool = False, **settings: Any) -> nn.Module:
        if pretrained or settings.pop("features_only", False):
            raise InputError(
                f"{timm_name} has no published weights, and no features_only",
                expected="a model to train from the start, or to fill by suite.models.load_reference",
                found="pretrained" if pretrained else "features_only",
                fix="leave it out",
            )
        model: Any = build_model_with_cfg(partial(_build, name), timm_name, pretrained=False, **settings)
        # No weights were trained at another size: what the scripts read here is what this model takes.
        taken = {"input_size": (model.in_chans, model.image_size, model.image_size), "num_classes": model.num_classes}
        model.pretrained_cfg.update(taken)
        return model  # type: ignore[no-any-return]

    build.__name__ = build.__qualname__ = timm_name
    build.__doc__ = f"{name} with LaPE; pe=…, join=…, norm=… change its position embedding, its join and its norms."
    return build


def _configuration(family: Family) -> dict[str, Any]:
    published = PUBLISHED[family.name]
    cifar = published.image_size == 32
    return {
        "url": "",
        "num_classes": 10 if cifar else 1000,
        "input_size": (3, published.image_size, published.image_size),
        "fixed_input_size": True,
        "interpolation": "bicubic",
        "crop_pct": published.crop,
        "mean": CIFAR10_MEAN if cifar else IMAGENET_DEFAULT_MEAN,
        "std": CIFAR10_STD if cifar else IMAGENET_DEFAULT_STD,
        "classifier": ("head", "distillation_head") if family.name == "deit_distilled" else "head",
    }


def main(arguments: Sequence[str]) -> None:
    """Run a script of timm as its own process would, with these models registered.

    Raises:
        InputError: no script is given, or there is none.
    """
    if not arguments or not Path(arguments[0]).is_file():
        raise InputError(
            "there is no script to run",
            expected="python -m suite.models.timm_models SCRIPT ARGUMENTS…, for instance timm's train.py",
            found=repr(arguments[0]) if arguments else "no arguments",
            fix="give the path of a clone's train.py, validate.py or benchmark.py",
        )
    sys.argv[:] = arguments
    sys.path.insert(0, str(Path(arguments[0]).resolve().parent))
    runpy.run_path(arguments[0], run_name="__main__")


# timm has the convolutional networks itself.
TRANSFORMERS = [name for name in named_architectures() if resolve_architecture(name).family.name in PUBLISHED]
_TIMM_NAMES = {name: f"lape_{name}{PUBLISHED[resolve_architecture(name).family.name].suffix}" for name in TRANSFORMERS}

_CLASSES = {family.name: _timm_class(family) for family in FAMILIES.values() if family.name in PUBLISHED}

if __name__ == "__main__":
    # Run by -m, this file is a module of another name: what is registered belongs to the one that can be imported.
    from suite.models import timm_models

    try:
        timm_models.main(sys.argv[1:])
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
else:
    globals().update({timm_class.__name__: timm_class for timm_class in _CLASSES.values()})  # where pickle looks
    default_cfgs = generate_default_cfgs(
        {timm_name: _configuration(resolve_architecture(name).family) for name, timm_name in _TIMM_NAMES.items()}
    )
    for _name, _timm_name in _TIMM_NAMES.items():
        globals()[_timm_name] = register_model(_entry(_name, _timm_name))
