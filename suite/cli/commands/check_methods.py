"""`lape check --methods` without a grid: every new level is built and takes a step in a small model of every family."""

from __future__ import annotations

import ast
import traceback
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, cast

import torch
from torch import Tensor, nn

from suite.errors import STRANGERS_ERRORS, InputError, Problem, first_line
from suite.grid.axes import AXES, BUILT_IN_AXES
from suite.grid.losses import LOSSES
from suite.grid.methods import MethodFile, code_of
from suite.grid.recipe import Recipe
from suite.models.architectures import FAMILIES, Architecture, resolve_architecture
from suite.models.backbone_size import BackboneSize
from suite.models.build import create_model
from suite.models.join_checks import NOT_TERMS
from suite.models.levels import Cell, refusal
from suite.models.model import Model
from suite.models.region_size import RegionSize
from suite.models.semantic_size import SemanticSize
from suite.models.sequence_size import SequenceSize
from suite.models.timm_size import TimmSize
from suite.registry import Registry
from suite.store.record import USUAL_LEVELS
from suite.train.losses.learner import learner_for
from suite.train.losses.objective import Objective
from suite.train.losses.target import Target

SIDE, CLASSES, IMAGES = 16, 5, 4

_PLAIN: dict[str, Any] = {"embed_dim": 16, "depth": 3, "num_heads": 2, "mlp_ratio": 1.5, "attn_drop": 0, "drop_path": 0}
# Sizes by family for images of 3×16×16, as far as patches of 4×4 pixels aren't what the family has.
_SIZES: dict[str, dict[str, Any]] = {
    "cct": {"conv_kernel": 3, "conv_stride": 2, "conv_padding": 1, "conv_layers": 1},
    "t2t_vit": {"token_dim": 6},
    "ceit": {"patch_size": 2},
    "swin": {"patch_size": 2, "depth": (2, 2), "num_heads": (2, 4), "window_size": 4},
}
_TIMM = {"model": "vit_tiny_patch16_224", "patch_size": 4, "embed_dim": 16, "depth": 3, "num_heads": 2}
_CONVOLUTIONAL: dict[str, dict[str, Any]] = {
    "resnet_cifar": {"blocks": 1, "channels": 6},
    "resnet": {"blocks": (1, 1, 1, 1), "bottleneck": False},
    "mobilenet_v2": {"width_multiple": 0.25},
}
_USUAL = {**USUAL_LEVELS, "join": "default"}


@dataclass(frozen=True)
class _Model:
    """A model to try a level in, with the levels that it has without it."""

    arch: Architecture
    levels: Mapping[str, str]

    def build(self, axis: str = "", level: str = "") -> nn.Module:
        """The model with the same weights each time, with a level if there is one to try."""
        levels = {**self.levels, **({axis: level} if axis else {})}
        torch.manual_seed(0)
        chosen = {axis: levels[axis] for axis in BUILT_IN_AXES if AXES[axis].of_model}
        channels = 1 if isinstance(self.arch.size, SequenceSize) else 3
        return create_model(self.arch, **chosen, num_classes=CLASSES, image_size=SIDE, in_chans=channels)

    def images(self) -> Tensor:
        """A batch to try it on: noise, or sequences of symbols."""
        generator = torch.Generator().manual_seed(1)
        if isinstance(self.arch.size, SequenceSize):
            return torch.randint(1, self.arch.size.vocabulary, (IMAGES, 1, 1, SIDE), generator=generator).float()
        return torch.randn(IMAGES, 3, SIDE, SIDE, generator=generator)

    def without(self, axis: str) -> nn.Module:
        """The model to compare a level's model with: the usual one, or of a position embedding one without any."""
        return self.build("pe", "none") if axis == "pe" else self.build()


def check_methods(files: tuple[MethodFile, ...]) -> Iterator[str]:
    """Try every level that the files register: a line for each, or `InputError` with all problems.

    Told are: what raises, an output of another shape or that isn't finite, an output that the level doesn't change, a
    parameter that gets no gradient, and two passes over the same images that differ.
    """
    problems: list[Problem] = []
    for file in files:
        for axis, name in _levels(file):
            fitting = [model for model in _models() if _accepts(model, axis, name)]
            found: dict[str, tuple[Problem, list[str]]] = {}  # by what is wrong: the first such problem, the families
            attempt = _try if axis == "arch" or AXES[axis].of_model else _try_loss
            for model in fitting:
                if problem := attempt(model, axis, name, file):
                    found.setdefault(problem.what, (problem, []))[1].append(model.arch.family.name)
                    if problem.what == NOT_TERMS:  # in all models, and timm's would say it in other words
                        break
            problems += [
                replace(problem, what=f"{axis} {name}: {problem.what}, in small models of {', '.join(families)}")
                for problem, families in found.values()
            ]
            if not found:
                families = ", ".join(model.arch.family.name for model in fitting)
                yield f"{axis} {name}: " + (f"built and trained a step in {families}" if fitting else "fits no family")
    if problems:
        raise InputError(problems=problems)


def _levels(file: MethodFile) -> Iterator[tuple[str, str]]:
    """What can be tried: data sets have no code."""
    for axis in BUILT_IN_AXES:
        registry = AXES[axis].levels
        assert isinstance(registry, Registry)
        yield from ((axis, name) for name in registry.outside.names(file.module))
    yield from (("arch", name) for name in FAMILIES.outside.names(file.module))


def _models() -> Iterator[_Model]:
    for name, family in FAMILIES.items():
        if family.size in (SemanticSize, BackboneSize, RegionSize):
            continue  # their backbones are tried under names of their own
        if family.size is TimmSize:
            yield _Model(resolve_architecture(name, _TIMM), {**_USUAL, "pe": "learnable"})
            continue
        transformer = name not in _CONVOLUTIONAL
        fields = family.size.model_fields
        asked = {**_PLAIN, "patch_size": 4, **_SIZES.get(name, {})} if transformer else _CONVOLUTIONAL[name]
        sizes = {key: value for key, value in asked.items() if key in fields}
        pe = "learnable" if transformer else "none"
        yield _Model(resolve_architecture(name, sizes), {**_USUAL, "pe": pe, "norm": family.norm})


def _accepts(model: _Model, axis: str, name: str) -> bool:
    if axis == "arch":
        return model.arch.family.name == name
    registry = AXES[axis].levels
    assert isinstance(registry, Registry)
    cell = Cell(model.arch, SIDE, model.levels).having(axis, name)
    try:
        joined = axis != "pe" or refusal(AXES["join"].levels, cell) is None  # type: ignore[arg-type]
        return joined and refusal(registry, cell) is None
    except InputError:
        raise
    except STRANGERS_ERRORS:  # of the level, which timm's models are built with to see whether they take it
        return True  # so that it is tried, and what it raises is told


def _try(model: _Model, axis: str, name: str, file: MethodFile) -> Problem | None:
    """What is wrong with the level in this model."""
    where = f"{file.path}:{_definition(file, axis, name)}"
    images = model.images()
    try:
        built = model.build() if axis == "arch" else model.build(axis, name)
        built.eval()
        with torch.no_grad():
            if axis == "pe":
                _leave_zero(built)
            once, twice = _logits(built(images)), _logits(built(images))
            plain = None if axis == "arch" else _logits(model.without(axis).eval()(images))
            shown = _shown(built, images) if axis == "arch" else ""
        built.train()
        trained = built(images)
        heads = trained if isinstance(trained, tuple) else (trained,)
        sum(head.float().square().mean() for head in heads).backward()
    except InputError as error:
        return replace(error.problems[0], what=error.problems[0].what.removeprefix(f"{axis} {name}: "), where=where)
    except STRANGERS_ERRORS as error:  # whatever a stranger's code raises is told with its level
        return Problem("a level that can't be built or trained", "a model that takes a step",
                       f"{type(error).__name__}: {first_line(error)}", _last(file, error, where),
                       "mend the level; `lape run` would end with the same error")  # fmt: skip
    if once.shape != (IMAGES, CLASSES):
        return Problem("a level that changes the shape of the output", f"{(IMAGES, CLASSES)}",
                       f"{tuple(once.shape)}", where, "return what the level was given, in its shape")  # fmt: skip
    if shown:
        return Problem("an architecture that shows other patch tokens than its blocks'",
                       "with `watched`, logits and Tokens: [images, patches, width]; or logits alone", shown, where,
                       "return them as the example in docs/bring_your_own.md does, or ignore `watched`")  # fmt: skip
    if not once.isfinite().all():
        return Problem("a level whose output isn't finite", "finite numbers", "infinite ones, or NaN", where,
                       "look for a division by zero")  # fmt: skip
    if not torch.equal(once, twice):
        return Problem("a level that isn't deterministic", "the same output for the same images in evaluation",
                       f"differences up to {(once - twice).abs().max():.3g}", where,
                       "draw random numbers in training alone")  # fmt: skip
    if plain is not None and torch.equal(once, plain):
        return Problem("a level without effect", "another output than that of the usual level", "the same", where,
                       "return what is to be added, and use it")  # fmt: skip
    idle = [key for key, one in built.named_parameters() if one.requires_grad and one.grad is None]
    if idle:
        return Problem("parameters that get no gradient", "a gradient for each", ", ".join(idle[:5]), where,
                       "use them in the forward pass, or don't make them")  # fmt: skip
    return None


def _shown(model: nn.Module, images: Tensor) -> str:
    """What is wrong with the patch tokens that a model shows; empty if nothing, or if it shows none."""
    own = cast(Model, model)
    patches = own.architecture.size.patch_tokens(SIDE)
    if patches is None:
        return ""
    output = model(images, range(sum(patches.depths)))
    if isinstance(output, Tensor):
        return ""
    _, tokens = output
    (rows, columns), width = patches.grids[-1], patches.width
    if len(tokens.blocks) != sum(patches.depths):
        return f"tokens after {len(tokens.blocks)} of {sum(patches.depths)} watched blocks"
    last = {"the last block": tokens.blocks[-1], "the last norm": tokens.normalised}
    wrong = [f"{tuple(x.shape)} after {at}" for at, x in last.items() if x.shape != (IMAGES, rows * columns, width)]
    return "; ".join(wrong)


def _leave_zero(model: nn.Module) -> None:
    """Move the position's parameters, which may start at zero: their effect would then be none."""
    generator = torch.Generator().manual_seed(2)
    for name, parameter in model.named_parameters():
        if "position." in name and parameter.requires_grad:
            parameter.add_(torch.randn(parameter.shape, generator=generator), alpha=0.1)


def _try_loss(model: _Model, axis: str, name: str, file: MethodFile) -> Problem | None:
    """What is wrong with the loss in a training step of this model, whose images are mixed."""
    where, loss = f"{file.path}:{_definition(file, axis, name)}", LOSSES[name]
    images = model.images()
    labels = torch.arange(IMAGES) % CLASSES
    target = Target.of(labels, torch.full((IMAGES, 1), 0.75))
    recipe = Recipe(version=1, epochs=1, batch_size=IMAGES, lr=1.0)
    try:
        learner = learner_for(cast(Model, model.build()), loss, recipe, CLASSES, seed=0).train()
        objective = Objective(recipe, loss=loss)
        output = learner(images)  # once, since a model may have dropout
        once, twice = (objective(output, target, images) for _ in range(2))
        plain = Objective(recipe)(output[0], target, images)
        if isinstance(once, Tensor) and once.ndim == 0:
            once.backward()
    except STRANGERS_ERRORS as error:  # whatever a stranger's code raises is told with its level
        return Problem("a loss that can't be computed", "a training step with it",
                       f"{type(error).__name__}: {first_line(error)}", _last(file, error, where),
                       "mend the loss; `lape run` would end with the same error")  # fmt: skip
    if not isinstance(once, Tensor) or once.ndim:
        return Problem("a loss that isn't a number", "a scalar, the mean over the images",
                       f"{tuple(getattr(once, 'shape', ()))}", where, "take the mean")  # fmt: skip
    if not once.isfinite():
        return Problem("a loss that isn't finite", "a finite number", f"{once.item()}", where,
                       "look for a division by zero, or the logarithm of zero")  # fmt: skip
    if not torch.equal(once, twice):
        return Problem("a loss that isn't deterministic", "the same loss for the same images",
                       f"{once.item():.6g} and {twice.item():.6g}", where, "draw no random numbers")  # fmt: skip
    if torch.equal(once, plain):
        return Problem("a loss without effect", "another loss than cross entropy", "the same", where,
                       "return the term's value")  # fmt: skip
    return None


def _definition(file: MethodFile, axis: str, name: str) -> int:
    """The line at which a level is defined; 1 if that isn't known."""
    defined = (code_of(axis, name) or "").partition(":")[2]
    found = (node for node in ast.walk(ast.parse(file.text)) if getattr(node, "name", None) == defined)
    return next((node.lineno for node in found if isinstance(node, (ast.FunctionDef, ast.ClassDef))), 1)


def _last(file: MethodFile, error: BaseException, otherwise: str) -> str:
    """The innermost line of the file that an error went through."""
    frames = [one for one in traceback.extract_tb(error.__traceback__) if one.filename == file.path]
    return f"{file.path}:{frames[-1].lineno}" if frames else otherwise


def _logits(output: Tensor | tuple[Tensor, ...]) -> Tensor:
    return output[0] if isinstance(output, tuple) else output
