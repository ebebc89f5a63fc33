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
from pathlib import Path
from typing import Any

from timm.data.constants import IMAGENET_DEFAULT_MEAN, IMAGENET_DEFAULT_STD
from timm.models import build_model_with_cfg, generate_default_cfgs, register_model
from torch import nn

from suite.errors import InputError
from suite.models.architectures import FAMILIES, Architecture, Family, named_architectures, resolve_architecture
from suite.models.build import create_model
from suite.models.families.swin import Swin
from suite.models.families.transformer import Transformer
from suite.models.sizes import Size
from suite.models.timm_interface import TimmDistilled, TimmModel, TimmPyramid, TimmVisionTransformer, refuse_pool
from suite.registry import resolve

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
FIRST_LAYERS = {"ceit": "tokenizer.stem", "t2t_vit": "tokenizer.performers.0.kqv"}  # T2T-ViT begins with no convolution
NAMES_OF_RATES = {"drop_path_rate": "drop_path", "attn_drop_rate": "attn_drop"}


def _timm_class(family: Family) -> type[TimmModel]:
    """The family's class with timm's interface."""
    ours: type[Transformer] = resolve(family.builder)
    base = TimmDistilled if family.distilled else TimmVisionTransformer
    bases = (TimmPyramid,) if ours is Swin else (base,) if issubclass(base, ours) else (base, ours)
    facts = {
        "__module__": __name__,
        "__doc__": f"{ours.__name__} with timm's interface.",
        "decays_position": PUBLISHED[family.name].decayed,
        "decays_relative_position": ours is not Swin,
    }
    # The names differ: two families may have one class.
    return type(f"Timm{''.join(part.capitalize() for part in family.name.split('_'))}", bases, facts)


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
) -> TimmModel:
    refuse_pool(global_pool)
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
    assert isinstance(model, TimmModel)
    if not num_classes:
        model.reset_classifier(0)
    return model


def _levels(depth: int | Sequence[int]) -> int:
    """How many levels of features are made unless `out_indices` says so, from the last: as in timm."""
    return min(3, depth) if isinstance(depth, int) else len(depth)


def _entry(name: str, timm_name: str) -> Callable[..., nn.Module]:
    published: Any = resolve_architecture(name).size

    def build(pretrained: bool = False, **settings: Any) -> nn.Module:
        if pretrained:
            raise InputError(
                f"{timm_name} has no published weights",
                expected="a model to train from the start, or to fill by suite.models.load_reference",
                found="pretrained",
                fix="leave it out",
            )
        out_indices = settings.pop("out_indices", _levels(settings.get("depth", published.depth)))
        features = {"out_indices": out_indices, "feature_cls": "getter"}
        made: Any = build_model_with_cfg(
            partial(_build, name), timm_name, pretrained=False, feature_cfg=features, **settings
        )
        model: TimmModel = made.model if settings.get("features_only") else made
        # No weights were trained at another size: what the scripts read here is what this model takes.
        made.pretrained_cfg.update(_facts(model.architecture, model.image_size, model.in_chans))
        made.pretrained_cfg["num_classes"] = model.num_classes
        return made  # type: ignore[no-any-return]

    build.__name__ = build.__qualname__ = timm_name
    build.__doc__ = f"{name} with LaPE; pe=…, join=…, norm=… change its position embedding, its join and its norms."
    return build


def _facts(architecture: Architecture, image_size: int, in_chans: int) -> dict[str, Any]:
    """What a configuration says of a model's input and of the grid of its last tokens."""
    assert isinstance(architecture.size, Size)
    return {
        "input_size": (in_chans, image_size, image_size),
        "fixed_input_size": True,
        "pool_size": architecture.size.stage_grids(image_size)[-1],
    }


def _configuration(architecture: Architecture) -> dict[str, Any]:
    family = architecture.family
    published = PUBLISHED[family.name]
    cifar = published.image_size == 32
    return {
        "url": "",
        "num_classes": 10 if cifar else 1000,
        "interpolation": "bicubic",
        "crop_pct": published.crop,
        "mean": CIFAR10_MEAN if cifar else IMAGENET_DEFAULT_MEAN,
        "std": CIFAR10_STD if cifar else IMAGENET_DEFAULT_STD,
        "first_conv": FIRST_LAYERS.get(family.name, "tokenizer.convolutions.0"),
        "classifier": ("head", "distillation_head") if family.distilled else "head",
        **_facts(architecture, published.image_size, 3),
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
        {timm_name: _configuration(resolve_architecture(name)) for name, timm_name in _TIMM_NAMES.items()}
    )
    for _name, _timm_name in _TIMM_NAMES.items():
        globals()[_timm_name] = register_model(_entry(_name, _timm_name))
