"""DiversePatch (arXiv 2104.12753): losses that make patch tokens of an image differ. Paper and released code versions.

Each loss is a mean over the images of a batch, in single precision. Each takes the patch tokens (`Seen`), the target
and the recipe's label smoothing, and returns a scalar.

Notation: h_i, of width d, are the n patch tokens of an image after the last block; b_i are those after the first block.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d, cross_entropy, kl_div, normalize, softplus

from suite.train.losses.patch_labels import PatchCrossEntropy
from suite.train.losses.target import Target

NEIGHBOURHOOD = 7  # patches per side
LEAST_PROBABILITY = 1e-8  # added to probabilities before the logarithm, as in the released code
LEAST_PATCHES = 1e-4  # added to the number of patches of a region, as in the released code


class Seen(NamedTuple):
    """A model's patch tokens, which the losses read: [B, n, d] each.

    Args:
        embedded: Patch embeddings without position embedding.
        first: Patch tokens after the first block.
        last: Patch tokens after the last block.
        normalised: Patch tokens after the norm of the head.
        logits: The patch classifier's logits: [B, n, classes] for each patch, or [B, 2, classes] for the mean of the
            image's own patches and the mean of the others.
        weight: The patch classifier's weight, where the logits of all patches would take too much memory.
        bias: The patch classifier's bias, in the same case.
    """

    embedded: Tensor
    first: Tensor
    last: Tensor
    normalised: Tensor
    logits: Tensor | None = None
    weight: Tensor | None = None
    bias: Tensor | None = None


def mean_similarity(h: Tensor) -> Tensor:
    """1/(n(n−1)) Σ_{i≠j} |h_i·h_j| / (‖h_i‖ ‖h_j‖) for each image: [B, n, d] to [B] (§3.1)."""
    h = normalize(_single(h), dim=-1)
    patches = h.shape[1]
    # By symmetry, the gradient is twice that of the first factor. Detaching the second saves a product.
    of_first = (h @ h.detach().transpose(1, 2)).abs().sum((1, 2))
    sums = 2 * of_first - of_first.detach() - h.square().sum((1, 2))
    return sums / (patches * (patches - 1))


def cosine(seen: Seen, target: Target, smoothing: float) -> Tensor:
    """L_cos: the mean absolute cosine similarity of the patches after the last block (§3.1)."""
    return mean_similarity(seen.last).mean()


def signed_cosine(seen: Seen, target: Target, smoothing: float) -> Tensor:
    """L_cos of the paper's first version, without the absolute value."""
    h = normalize(_single(seen.last), dim=-1)
    patches = h.shape[1]
    return (h.sum(1).square().sum(-1) - h.square().sum((1, 2))).mean() / (patches * (patches - 1))


def contrastive(seen: Seen, target: Target, smoothing: float) -> Tensor:
    """L_con = −1/n Σ_i log [exp(b_i·h_i) / (exp(b_i·h_i) + exp(b_i·mean_{j≠i} h_j))] (§3.2)."""
    first, last = _single(seen.first), _single(seen.last)
    alike = (first * last).sum(-1)
    others = ((first * last.sum(1, keepdim=True)).sum(-1) - alike) / (last.shape[1] - 1)
    return softplus(others - alike).mean()


def released_contrastive(seen: Seen, target: Target, smoothing: float) -> Tensor:
    """−1/n Σ_i log [softmax(e_i·t_i, e_i·mean_j t_j, e_i·m_i)_1 + 10⁻⁸], as released up to commit 63afa11.

    e_i is the patch embedding without position embedding, without gradient. t_i is h_i after the norm of the head. m_i
    is the mean of the 48 neighbours of t_i in a square of 7×7 patches; neighbours outside the image are zero.
    """
    t = _single(seen.normalised)
    return _against(seen, t, t.mean(1, keepdim=True))


def revised_contrastive(seen: Seen, target: Target, smoothing: float) -> Tensor:
    """−1/n Σ_i log [softmax(e_i·t_i, e_i·mean_{j≠i} t_j, e_i·m_i)_1 + 10⁻⁸], as released since commit 0682d1f.

    The mean is over the other n − 1 patches. (The code of that commit fails; HEAD, b70ee23, has the fix.)
    """
    t = _single(seen.normalised)
    return _against(seen, t, (t.sum(1, keepdim=True) - t) / (t.shape[1] - 1))


def _against(seen: Seen, t: Tensor, mean: Tensor) -> Tensor:
    """The released contrastive term.

    Args:
        seen: The patch tokens.
        t: Patch tokens after the norm of the head, [B, n, d].
        mean: The first negative, [B, 1 or n, d].
    """
    anchor = _single(seen.embedded).detach()
    side, area = math.isqrt(t.shape[1]), NEIGHBOURHOOD**2
    pooled = avg_pool2d(t.transpose(1, 2).unflatten(2, (side, side)), NEIGHBOURHOOD, 1, NEIGHBOURHOOD // 2)
    nearby = (area * pooled.flatten(2).transpose(1, 2) - t) / (area - 1)
    scores = torch.stack([(anchor * other).sum(-1) for other in (t, mean, nearby)], dim=-1)
    return -(scores.softmax(-1)[..., 0] + LEAST_PROBABILITY).log().mean()


def mixing(seen: Seen, target: Target, smoothing: float) -> Tensor:
    """L_mix = 1/n Σ_i CE(g(h_i), y_i), where y_i is the unsmoothed label of the image that patch i is from (§3.3)."""
    assert target.own is not None  # the learner gives it
    labels = target.labels[:, None].expand(target.own.shape)
    if target.partners is not None:
        labels = torch.where(target.own, labels, target.partners[:, None])
    if seen.logits is None:
        h = _single(seen.last).flatten(0, 1)
        pieced: Tensor = PatchCrossEntropy.apply(h, seen.weight, seen.bias, labels.flatten())
        return pieced
    return cross_entropy(_single(seen.logits).flatten(0, 1), labels.flatten())


def released_mixing(seen: Seen, target: Target, smoothing: float) -> Tensor:
    """Σ_r area(r) KL(y_r ‖ softmax g(drop(mean over r of t_i)) + 10⁻⁸) over the two regions r, as released.

    y_r is the smoothed label of the image that region r is from. An image that isn't mixed is one region.
    """
    assert seen.logits is not None and target.own is not None  # noqa: PT018 -- the learner gives them
    logits = _single(seen.logits)
    classes = logits.shape[-1]
    partners = target.labels if target.partners is None else target.partners
    off = smoothing / classes
    told = torch.full_like(logits, off).scatter(
        -1, torch.stack([target.labels, partners], dim=1)[..., None], 1 - smoothing + off
    )
    learned = (logits.softmax(-1) + LEAST_PROBABILITY).log()
    divergences = kl_div(learned, told, reduction="none").sum(-1)
    return (regions(target.own, logits.dtype).mean(-1) * divergences).sum(1).mean()


def regions(own: Tensor, dtype: torch.dtype) -> Tensor:
    """Masks of the two regions of each image, 1 for each patch in the region: bool [B, n] to [B, 2, n], own first."""
    return torch.stack([own, ~own], dim=1).to(dtype)


def region_means(t: Tensor, own: Tensor) -> Tensor:
    """The mean patch of each region, as released: [B, n, d] to [B, 2, d]. The mean of an empty region is zero."""
    inside = regions(own, t.dtype)
    return (inside @ t) / (inside.sum(-1, keepdim=True) + LEAST_PATCHES)


def _single(x: Tensor) -> Tensor:
    return x.float() if x.dtype.itemsize < 4 else x
