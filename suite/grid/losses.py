"""The levels of the `loss` axis. This module doesn't import torch.

A loss is the recipe's cross entropy, or what replaces it, plus a weighted sum of terms. Each term is a function in
`suite.train.losses`: of patch tokens in `diversity`, of logits in `of_logits`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from suite.grid.recipe import Recipe
from suite.models.architectures import Architecture
from suite.models.levels import Cell, Level, Refusal
from suite.registry import Registry
from suite.store.record import LOSS_KEYS


@dataclass(frozen=True)
class Term:
    """A term that a loss adds to the cross entropy.

    Args:
        code: "module:function", imported when a training run begins.
        weight: the recipe's key for the factor of the term, or a name of its own under the recipe's `loss_weights`.
        equation: the term in mathematical notation.
        spans: whether it compares tokens after the last block with tokens after, or before, the first block.
        others: whether it compares a patch with the other patches of its image.
        classifies: the input of its linear classifier g, if it has one: "patches" for each patch, "regions" for the
            mean over the patches with one label, "" for no classifier. The labels of patches come from CutMix.
        drop: the dropout rate on the classifier's input in training.
        sees: "patches" for a function of `Seen`, `Target` and the label smoothing; "logits" for one of the logits
            [B, classes], the labels [B, classes] (smoothed and mixed) and the label smoothing.
        hard: its labels can't be smoothed.
    """

    code: str
    weight: str
    equation: str
    spans: bool = False
    others: bool = True
    classifies: Literal["", "patches", "regions"] = ""
    drop: float = 0.0
    sees: Literal["patches", "logits"] = "patches"
    hard: bool = False

    def factor(self, recipe: Recipe) -> float:
        """The factor of the term; 1 unless the recipe says another."""
        if self.weight in LOSS_KEYS:
            return float(getattr(recipe, self.weight))
        return recipe.loss_weights.get(self.weight, 1.0)


@dataclass(frozen=True)
class Loss(Level):
    """A level of the `loss` axis. Its terms are added to the cross entropy with the recipe's label smoothing.

    Attributes:
        base: what replaces the cross entropy; a term that sees logits, of factor 1.
    """

    name: str
    summary: str
    source: str
    terms: tuple[Term, ...] = ()
    base: Term | None = None

    @property
    def equation(self) -> str:
        """The weighted sum that is added to the cross entropy, with the weights α; without terms, what they add to."""
        base = "CE(logits, labels)" if self.base is None else self.base.equation
        added = [f"{_SYMBOLS.get(term.weight, term.weight)} {term.equation}" for term in self.terms]
        return " + ".join(added if self.base is None and added else [base, *added])

    @property
    def description(self) -> str:
        """The loss in one line, with its equation."""
        return f"{self.summary}: {self.equation} [{self.source}]"

    @property
    def weights(self) -> frozenset[str]:
        """The recipe's weight keys that this loss uses."""
        return frozenset(term.weight for term in self.terms)

    def active(self, recipe: Recipe) -> list[Term]:
        """The terms whose weight isn't 0."""
        return [term for term in self.terms if term.factor(recipe)]

    def refuses(self, cell: Cell) -> Refusal | None:
        """Return why a cell can't use this loss, or None if it can.

        Losses with terms on patches need the patches of a transformer, and some need a recipe that mixes images by
        patches. For a cell without a recipe, only the reasons that no recipe could change are checked.
        """
        plain = not self.terms and self.base is None
        reason = None if plain else self._unfit(cell.arch, cell.image_size, cell.recipe)
        if reason is None:
            return None
        what, fix = reason
        return Refusal(what, fix, "an arch, a recipe and a loss that can be combined")

    def _unfit(self, architecture: Architecture, image_size: int, recipe: Recipe | None) -> tuple[str, str] | None:
        terms = list(self.terms) if recipe is None else self.active(recipe)
        if not terms and self.base is None:
            return f"loss {self.name!r} has no term whose weight isn't 0", f"raise {' or '.join(sorted(self.weights))}"
        parts = terms if self.base is None else [self.base, *terms]
        if recipe is not None and recipe.label_smoothing and any(term.hard for term in parts):
            return f"loss {self.name!r} sees only whether a class is among the labels", "set label_smoothing: 0"
        terms = [term for term in terms if term.sees == "patches"]
        if not terms:
            return None
        patches = architecture.size.patch_tokens(image_size)
        if patches is None:
            why = "is a convolutional network" if architecture.norm == "bn" else "shows none"
            return (
                f"loss {self.name!r} is of patch tokens, and {architecture.name} {why}",
                "choose a transformer",
            )
        grids = patches.grids
        rows, columns = grids[-1]
        if rows * columns == 1 and any(term.others for term in terms):
            return (
                f"loss {self.name!r} compares the patches of an image, and {architecture.name} has one",
                "choose smaller patches",
            )
        if len(grids) > 1 and any(term.spans for term in terms):
            return (
                f"loss {self.name!r} compares a patch before and after the blocks, "
                f"and {architecture.name} merges patches in between",
                "choose an arch without stages",
            )
        if not any(term.classifies for term in terms):
            return None
        if image_size % rows:
            return (
                f"loss {self.name!r} needs a label for each patch, "
                f"and {image_size} pixels are no whole number for each of {rows} patches",
                f"choose an arch whose patches divide {image_size} pixels",
            )
        return None if recipe is None else self._needs_patch_labels(image_size // rows, recipe)

    def _needs_patch_labels(self, patch: int, recipe: Recipe) -> tuple[str, str] | None:
        fix = f"set cutmix: 1.0, mixup: 0 and cutmix_grid: {patch} in the recipe"
        if not recipe.cutmix or recipe.cutmix_grid is None:
            return f"loss {self.name!r} needs labels of patches, and the recipe doesn't mix on the patch grid", fix
        if recipe.mixup:
            return f"loss {self.name!r} needs a label for each patch, and Mixup blends two images in every pixel", fix
        if recipe.cutmix_grid % patch:
            return (
                f"loss {self.name!r} needs a label for each patch, and boxes on a grid of {recipe.cutmix_grid} pixels "
                f"cut patches of {patch} pixels",
                fix,
            )
        return None


LOSSES: Registry[Loss] = Registry("loss")

_SYMBOLS = dict(zip(LOSS_KEYS, ("α₁", "α₂", "α₃"), strict=True))

_PAPER = "DiversePatch (arXiv 2104.12753)"
_FIRST = "first version of DiversePatch (arXiv 2104.12753v1)"
_RELEASE = "released code of DiversePatch (arXiv 2104.12753)"
_REVISION = "last released code of DiversePatch (arXiv 2104.12753)"
_CODE = "suite.train.losses.diversity"

_COSINE = Term(f"{_CODE}:cosine", "cosine_weight", "mean over i≠j of |cos(h_i, h_j)|")
_SIGNED_COSINE = Term(f"{_CODE}:signed_cosine", "cosine_weight", "mean over i≠j of cos(h_i, h_j)")
_CONTRASTIVE = Term(
    f"{_CODE}:contrastive",
    "contrastive_weight",
    "mean over i of −log softmax(b_i·h_i, b_i·mean_{j≠i} h_j)_1",
    spans=True,
)
_RELEASED_CONTRASTIVE = Term(
    f"{_CODE}:released_contrastive",
    "contrastive_weight",
    "mean over i of −log softmax(e_i·t_i, e_i·mean_j t_j, e_i·mean over 7×7 about i of t_j)_1",
    spans=True,
)
_REVISED_CONTRASTIVE = Term(
    f"{_CODE}:revised_contrastive",
    "contrastive_weight",
    "mean over i of −log softmax(e_i·t_i, e_i·mean_{j≠i} t_j, e_i·mean over 7×7 about i of t_j)_1",
    spans=True,
)
_MIXING = Term(f"{_CODE}:mixing", "mixing_weight", "mean over i of CE(g(h_i), y_i)", others=False, classifies="patches")
_RELEASED_MIXING = Term(
    f"{_CODE}:released_mixing",
    "mixing_weight",
    "sum over regions r of area(r) KL(y_r ‖ softmax g(drop(mean over r of t_i)))",
    others=False,
    classifies="regions",
    drop=0.2,
)

_LOGITS = "suite.train.losses.of_logits"
_BINARY = Term(f"{_LOGITS}:binary_cross_entropy", "", "mean over images and classes k of BCE(σ(z_k), y_k > 0)",
               sees="logits", hard=True)  # fmt: skip
_FOCAL = Term(f"{_LOGITS}:focal", "", "Σ_k −y_k (1 − p_k)² log p_k", sees="logits")
_POLY = Term(f"{_LOGITS}:one_minus_probability", "poly_epsilon", "(1 − Σ_k y_k p_k)", sees="logits")

# Notation of the equations, for patch i of an image: e_i is its token before the position embedding joins (detached
# from the gradient), b_i after the first block, h_i after the last block, and t_i after the last norm. g is a linear
# classifier. y_i is the label of the image that the patch comes from.
for _loss in (
    Loss("default", "cross entropy with the recipe's label smoothing, and the teacher's share of it",
         "DeiT (arXiv 2012.12877)"),
    Loss("diversepatch", "all three terms of the paper", _PAPER, (_COSINE, _CONTRASTIVE, _MIXING)),
    Loss("diverse_cosine", "patches after the last block shall be unlike each other", _PAPER, (_COSINE,)),
    Loss("diverse_cosine_v1", "diverse_cosine without the absolute value", _FIRST, (_SIGNED_COSINE,)),
    Loss("diverse_contrastive", "a patch after the last block shall be like itself after the first", _PAPER,
         (_CONTRASTIVE,)),
    Loss("diverse_mixing", "each patch shall tell the image that CutMix took it from", _PAPER, (_MIXING,)),
    Loss("diversepatch_release", "both terms of the release, which has no cosine", _RELEASE,
         (_RELEASED_CONTRASTIVE, _RELEASED_MIXING)),
    Loss("diverse_contrastive_release", "diverse_contrastive against the patch embedding, with neighbours as a second "
         "negative", _RELEASE, (_RELEASED_CONTRASTIVE,)),
    Loss("diverse_mixing_release", "diverse_mixing of the mean patch of each image, instead of each patch", _RELEASE,
         (_RELEASED_MIXING,)),
    Loss("diversepatch_revised", "diversepatch_release as it is since commit 0682d1f: the mean that a patch is "
         "compared with leaves the patch out", _REVISION, (_REVISED_CONTRASTIVE, _RELEASED_MIXING)),
    Loss("diverse_contrastive_revised", "diverse_contrastive_release as it is since commit 0682d1f: the mean that a "
         "patch is compared with leaves the patch out", _REVISION, (_REVISED_CONTRASTIVE,)),
    Loss("bce", "binary cross entropy of each class, where a class is a label if any image of a mixture has it",
         "DeiT III (arXiv 2204.07118), as released", base=_BINARY),
    Loss("focal", "cross entropy with less weight on images that are classified well, by softmax and with γ = 2",
         "focal loss (arXiv 1708.02002) Eq. 4", base=_FOCAL),
    Loss("poly1", "cross entropy with the first coefficient of its series in 1 − p raised by poly_epsilon",
         "PolyLoss (arXiv 2204.12511) Poly-1", (_POLY,)),
):  # fmt: skip
    LOSSES.register(_loss.name, _loss)


def set_weights(recipe: Recipe) -> dict[str, float]:
    """Return the loss weights that the recipe sets to another value than 1, by name."""
    of_keys = {name: getattr(recipe, name) for name in LOSS_KEYS}
    return {name: value for name, value in {**of_keys, **recipe.loss_weights}.items() if value != 1}


def idle_weights(recipe: Recipe, losses: Iterable[str]) -> list[str]:
    """Return the loss weights that the recipe sets although none of the losses has such a term."""
    known = frozenset[str]().union(*(LOSSES[loss].weights for loss in losses))
    return [name for name in set_weights(recipe) if name not in known]


def without_idle_weights(recipe: Recipe, loss: str) -> Recipe:
    """Return the recipe with the weights that a loss doesn't use reset to their defaults.

    Recipes that lead to the same training run then give the same trial id.
    """
    idle = idle_weights(recipe, [loss])
    own = {name: value for name, value in recipe.loss_weights.items() if value != 1 and name not in idle}
    changes = {**{name: 1.0 for name in idle if name in LOSS_KEYS}, "loss_weights": own}
    return recipe.model_copy(update=changes) if idle or own != recipe.loss_weights else recipe
