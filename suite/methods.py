"""What a method file registers its levels with: one decorator for each kind of level. Needs no torch.

A method file is a Python file of your own, outside the package, that a command reads by `--methods FILE`:

    from suite.methods import Terms, join

    @join(source="my paper")
    def halved(tables, maps):
        \"\"\"Half of the position before every block.\"\"\"
        return Terms(stream=[tables[0] / 2] * len(maps))

The name of a level is that of its function or class, unless `name` is given; its summary is the first line of the
docstring. A name that the package has is refused. The same decorators serve packages that are installed: see the
entry-point group `lape.methods` in docs/bring_your_own.md.
"""

from __future__ import annotations

import inspect
import math
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from suite.data.datasets import DATASETS, Dataset
from suite.errors import InputError
from suite.faces import lazy
from suite.grid.losses import LOSSES, Loss, Term
from suite.grid.method_names import check_free, check_name
from suite.models.architectures import ARCHITECTURES, FAMILIES, Architecture, Family
from suite.models.joins import JOINS, Join
from suite.models.joins import LAYER_NORM as LAYER_NORM
from suite.models.joins import BlockMap as BlockMap
from suite.models.joins import Terms as Terms
from suite.models.norms import NORMS, Norm
from suite.models.positions import ATTENTION_LOGITS, BLOCK_OUTPUT, POSITIONS, QUERIES_AND_KEYS, SITES, Position
from suite.models.sizes import AnySize, NormPlace, PatchSize, Size
from suite.registry import Registry

Code = TypeVar("Code", bound=Callable[..., Any])

if TYPE_CHECKING:
    from suite.models.embedding import PositionEmbedding as PositionEmbedding
    from suite.models.families.transformer import Tokens as Tokens
    from suite.models.initialise import Rules as Rules
    from suite.models.layers.blocks import plus as plus
    from suite.models.model import Model as Model
    from suite.models.normalisers.plain import TokenNorm as TokenNorm
    from suite.models.normalisers.plain import norm_maker as norm_maker
    from suite.models.sites.site import AfterBlock as AfterBlock
    from suite.models.sites.site import Bias as Bias
    from suite.models.sites.site import ContextualBias as ContextualBias
    from suite.models.sites.site import Place as Place
    from suite.models.sites.site import Rotation as Rotation

_MODULES = {
    "embedding": ("PositionEmbedding",),
    "families.transformer": ("Tokens",),
    "initialise": ("Rules",),
    "layers.blocks": ("plus",),
    "model": ("Model",),
    "normalisers.plain": ("TokenNorm", "norm_maker"),
    "sites.site": ("AfterBlock", "Bias", "ContextualBias", "Place", "Rotation"),
}  # they import torch
__getattr__ = lazy("suite.models", {name: module for module, names in _MODULES.items() for name in names})
_FIELDS = {ATTENTION_LOGITS: "bias", QUERIES_AND_KEYS: "rotation", BLOCK_OUTPUT: "after"}


def join(
    *,
    source: str = "",
    name: str = "",
    tables: Literal["one", "per_block"] = "one",
    block_map: BlockMap | None = None,
) -> Callable[[Code], Code]:
    """Register a joining method: a function of the tables ω and of a map for each block that returns `Terms`.

    Args:
        source: The paper or code that it is from.
        name: The level's name, if it isn't the function's.
        tables: One table for all blocks, or a learned one for each.
        block_map: The learned map of each block, such as `LAYER_NORM`; None: the identity.
    """

    def register(function: Code) -> Code:
        called = _checked(function, name, "tables, maps", 2)
        level = Join(called, _summary(function), source or _file(function), function, tables, block_map)
        return _register(JOINS, level, function)

    return register


def position(
    *,
    source: str = "",
    name: str = "",
    width_multiple: int = 1,
    head_multiple: int = 1,
    learnable: bool = False,
    blocks: Literal["all", "first"] = "all",
) -> Callable[[Code], Code]:
    """Register a position embedding: a function that makes a fixed table, or a class that acts in the blocks.

    The function gets (rows, columns), the number of prefix tokens and the width. It returns an array of floats
    [prefix + rows · columns, width], which is added to the tokens.

    The class is a subclass of `Bias`, `ContextualBias`, `Rotation` or `AfterBlock`. It is called with a `Place`.

    Args:
        source: The paper or code that it is from.
        name: The level's name, if it isn't the function's or the class's.
        width_multiple: What the width of the tokens must be divisible by.
        head_multiple: What the width of an attention head must be divisible by; of a `Rotation` at least 2.
        learnable: Of a class: a learned vector is added to each token as well, and joining methods are about it.
        blocks: Of a class: it is in all blocks, or in the first block of each stage.
    """

    def register(code: Code) -> Code:
        of_class = code if isinstance(code, type) else None
        called = _checked(code, name, *(("place", 1) if of_class else ("grid, prefix, width", 3)))
        text = (_summary(code), source or _file(code))
        if of_class is None:
            if learnable or blocks != "all":
                raise InputError(
                    f"{called!r} is a fixed table, which is neither learned nor of some blocks",
                    expected="learnable and blocks with a class",
                    found=f"learnable={learnable}, blocks={blocks!r} with a function",
                    fix="leave them out",
                )
            return _register(POSITIONS, Position(called, *text, table=code, width_multiple=width_multiple), code)
        site = _FIELDS.get(getattr(of_class, "site", ""))
        if site is None:
            raise InputError(
                f"{called!r} is a class that acts at no site",
                expected="a subclass of Bias, ContextualBias, Rotation or AfterBlock of suite.methods",
                found=f"a subclass of {of_class.mro()[1].__name__}",
                fix="choose the one that acts where it shall",
            )
        multiple = math.lcm(head_multiple, 2) if site == "rotation" else head_multiple
        level = Position(
            called, *text, learnable, learnable, None, width_multiple, blocks=blocks, head_multiple=multiple
        )
        module: dict[str, Any] = {site: _code(code), "of_offsets": site == "rotation"}
        level = replace(level, **module)
        return _register(POSITIONS, level, code)

    return register


def norm(
    *,
    source: str = "",
    name: str = "",
    equation: str = "see its code",
    maps: bool = False,
    grid: bool = False,
    where: NormPlace = "inner",
) -> Callable[[Code], Code]:
    """Register a norm: a class of modules, which is called with the width, and `heads` and `grid` by name.

    It maps tokens [images, tokens, width] to the same shape. Subclass `TokenNorm`, which has a weight and a bias and
    says how they start.

    Args:
        source: The paper or code that it is from.
        name: The level's name, if it isn't the class's.
        equation: What it makes of x, for people.
        maps: It is of feature maps [images, channels, rows, columns] of convolutional networks instead, and is called
            with the number of channels, and `eps` by name.
        grid: Its tokens must fill a grid, so that the class token joins after it. Then `where` must be "inner".
        where: It is in all blocks but the last two ("inner"), in all blocks ("blocks"), or in all blocks and before
            the head ("all"). A grid can say otherwise for an architecture: `norm_where`.
    """
    if grid and where != "inner":
        raise InputError(
            f"a norm of a grid of tokens that is in {where!r}",
            expected="where='inner': the class token joins before the last two blocks",
            found=f"grid=True, where={where!r}",
            fix="leave one of the two out",
        )

    def register(module: Code) -> Code:
        called = _checked(module, name, "width", None)
        tokens, of_maps = ("", _code(module)) if maps else (_code(module), "")
        text = (_summary(module), equation, source or _file(module))
        return _register(NORMS, Norm(called, *text, tokens, of_maps, grid, where), module)

    return register


def loss(
    *,
    weight: str = "",
    source: str = "",
    name: str = "",
    equation: str = "its term",
    spans: bool = False,
    sees: Literal["patches", "logits"] = "patches",
    replaces: bool = False,
) -> Callable[[Code], Code]:
    """Register a loss: cross entropy and a term, which returns a scalar.

    A term that sees patches is a function of `Seen`, `Target` and the label smoothing; see
    `suite.train.losses.diversity.Seen`. A term that sees logits is a function of the logits [B, classes], of the labels
    [B, classes], which mixing and label smoothing make soft, and of the label smoothing.

    Args:
        weight: The name of the term's factor: a recipe's key such as cosine_weight, or a name of its own, which a
            recipe gives under `loss_weights`. Without it, the loss's name.
        source: The paper or code that it is from.
        name: The level's name, if it isn't the function's.
        equation: The term, for people.
        spans: It compares patches after the last block with those before, so that no stage may merge them between.
        sees: What its function gets.
        replaces: It stands in place of the cross entropy, and has no factor. Only for a term that sees logits.
    """
    if replaces and (sees != "logits" or weight):
        raise InputError(
            "a loss that replaces cross entropy, but sees patches or has a weight",
            expected="sees='logits' and no weight",
            found=f"sees={sees!r}, weight={weight!r}",
            fix="change one of them",
        )
    if weight:
        check_name(weight)

    def register(function: Code) -> Code:
        arguments = "logits, labels, smoothing" if sees == "logits" else "seen, target, smoothing"
        called = _checked(function, name, arguments, 3)
        factor = "" if replaces else weight or called
        term = Term(_code(function), factor, equation, spans=spans, others=False, sees=sees)
        text = (_summary(function), source or _file(function))
        level = Loss(called, *text, base=term) if replaces else Loss(called, *text, (term,))
        return _register(LOSSES, level, function)

    return register


def architecture(
    *,
    source: str = "",
    name: str = "",
    size: type[AnySize] = PatchSize,
    prefix: int = 0,
    defaults: Mapping[str, Any] | None = None,
    norm: str = "ln",
    sites: Sequence[str] | None = None,
) -> Callable[[Code], Code]:
    """Register a family of architectures: a subclass of `Model`, such as those of the package.

    Args:
        source: The paper or code that it is from.
        name: The family's name, if it isn't the class's.
        size: Its sizes: a class of `suite.models.sizes`.
        prefix: The tokens before the patches.
        defaults: Sizes that a grid needn't give.
        norm: The norm that it has as published.
        sites: Where a position embedding can act in it, of `SITES`; by default at all sites if it has tokens.
    """
    if not size.__module__.startswith("suite."):
        raise InputError(
            "an architecture with sizes of its own",
            expected="a class of suite.models.sizes, which every process knows",
            found=f"{size.__module__}.{size.__name__}",
            fix="choose the nearest, such as PatchSize",
        )

    def register(model: Code) -> Code:
        called = _checked(model, name, "architecture, position, join, norm", None)
        text = (_summary(model), source or _file(model))
        where = (SITES if issubclass(size, Size) else ()) if sites is None else tuple(sites)
        if unknown := [site for site in where if site not in SITES]:
            raise InputError(
                f"{called!r} has sites that no position embedding acts at",
                expected=f"some of {', '.join(SITES)}",
                found=", ".join(unknown),
                fix="leave them out",
            )
        family = Family(called, *text, size, _code(model), prefix, dict(defaults or {}), norm=norm, sites=where)
        return _register(FAMILIES, family, model)

    return register


def named_size(name: str, family: str, **size: Any) -> Architecture:
    """Register an architecture: a family of the package, or of a method file, at a size with a name."""
    check_name(name)
    check_free("architecture", name, ARCHITECTURES, FAMILIES)
    return ARCHITECTURES.register(name, family, size)


def dataset(name: str, **declaration: Any) -> Dataset:
    """Register a data set, as `lape data prepare` declares it: its shape and its checksum."""
    check_free("data set", name, DATASETS)
    return DATASETS.register(name, Dataset(name=name, **declaration))


def _register(registry: Registry[Any], level: Any, code: Code) -> Code:
    check_free(registry.kind, level.name, registry)
    registry.register(level.name, level, _code(code))
    return code


def _code(code: Callable[..., Any]) -> str:
    return f"{code.__module__}:{code.__qualname__}"


def _checked(code: Callable[..., Any], name: str, arguments: str, count: int | None) -> str:
    """The name of the level; raises `InputError` if the code can't be one. count: of the arguments it gets."""
    called = name or code.__name__.lower()
    check_name(called)
    where = sys.modules.get(code.__module__)
    if "<locals>" in code.__qualname__ or where is None:
        raise InputError(
            f"{called!r} is defined within a function",
            expected="a function or class at the top level of its file, which other processes can import",
            found=code.__qualname__,
            fix="move it to the top level",
        )
    if count is not None:
        try:
            inspect.signature(code).bind(*range(count))
        except TypeError as error:
            raise InputError(
                f"{called!r} can't be called as it will be",
                expected=f"a function of ({arguments})",
                found=f"{called}{inspect.signature(code)}: {error}",
                fix="change its parameters",
            ) from None
    return called


def _summary(code: Callable[..., Any]) -> str:
    lines: Sequence[str] = (inspect.getdoc(code) or "").splitlines()
    return lines[0] if lines else f"{code.__name__} of {_file(code)}"


def _file(code: Callable[..., Any]) -> str:
    return Path(getattr(sys.modules[code.__module__], "__file__", None) or code.__module__).name
