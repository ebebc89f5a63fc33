"""The alternatives to LayerNorm for token streams. Tokens are [batch, tokens, width]."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Generator, Tensor, nn
from torch.nn.functional import group_norm, instance_norm

from suite.models.norms import Norm
from suite.models.sizes import Grid
from suite.registry import resolve

EPS = 1e-5  # of all these norms, as in the released code; the architecture's LayerNorms may have another ε


class Normaliser(nn.Module):
    """A norm that defines its own initialisation. `norm_maker` builds each from the tokens' width, heads and grid."""

    @torch.no_grad()
    def start(self, name: str, drawn: Tensor, generator: Generator) -> None:
        """Fill `drawn` with the initial value of a parameter.

        Args:
            name: the parameter's name in this module.
            drawn: the tensor to fill.
            generator: the source of random numbers.
        """
        raise NotImplementedError

    def reset_running_stats(self) -> None:
        """Reset running statistics, as the PyTorch method of the same name does. Most norms have none."""


class TokenNorm(Normaliser):
    """A norm with γ (`weight`) and β (`bias`) per channel."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))
        self.bias = nn.Parameter(torch.zeros(width))

    @torch.no_grad()
    def start(self, name: str, drawn: Tensor, generator: Generator) -> None:
        """Initialise γ to 1 and every other parameter to 0; arguments as in `Normaliser.start`."""
        drawn.fill_(1 if name == "weight" else 0)

    def affine(self, x: Tensor) -> Tensor:
        """γ ⊙ x + β."""
        y: Tensor = self.weight * x + self.bias
        return y


class BatchNorm(nn.BatchNorm1d):
    """γ ⊙ (x − μ) / √(σ² + ε) + β, with statistics per channel over images and tokens (arXiv 1502.03167).

    In evaluation, μ and σ² are running means from training.
    """

    def __init__(self, width: int, *, heads: int, grid: Grid) -> None:
        super().__init__(width, eps=EPS)

    def forward(self, x: Tensor) -> Tensor:
        """Map [batch, tokens, width] to the same shape."""
        y: Tensor = super().forward(x.flatten(0, 1)).unflatten(0, x.shape[:2])
        return y


class InstanceNorm(TokenNorm):
    """γ ⊙ (x − μ) / √(σ² + ε) + β, with statistics per image and channel over tokens (arXiv 1607.08022)."""

    def __init__(self, width: int, *, heads: int, grid: Grid) -> None:
        super().__init__(width)

    def forward(self, x: Tensor) -> Tensor:
        """Map [batch, tokens, width] to the same shape."""
        return instance_norm(x.transpose(1, 2), weight=self.weight, bias=self.bias, eps=EPS).transpose(1, 2)


class GroupNorm(TokenNorm):
    """γ ⊙ (x − μ) / √(σ² + ε) + β, with one group of channels per attention head (arXiv 1803.08494).

    Statistics are per image and head, over tokens and the head's channels.
    """

    def __init__(self, width: int, *, heads: int, grid: Grid) -> None:
        super().__init__(width)
        self.groups = heads

    def forward(self, x: Tensor) -> Tensor:
        """Map [batch, tokens, width] to the same shape."""
        return group_norm(x.transpose(1, 2), self.groups, self.weight, self.bias, EPS).transpose(1, 2)


class ScaleNorm(Normaliser):
    """g x / ‖x‖ for each token, with one learned scalar g that starts at √width (arXiv 1910.05895).

    DTN's released code has one g per channel instead.
    """

    def __init__(self, width: int, *, heads: int, grid: Grid) -> None:
        super().__init__()
        self.width = width
        self.scale = nn.Parameter(torch.ones(1))  # not named `weight`: it corresponds to no parameter of LayerNorm

    @torch.no_grad()
    def start(self, name: str, drawn: Tensor, generator: Generator) -> None:
        """Initialise g to √width, the length of LayerNorm's output; arguments as in `Normaliser.start`."""
        drawn.fill_(self.width**0.5)

    def forward(self, x: Tensor) -> Tensor:
        """Map [batch, tokens, width] to the same shape."""
        length: Tensor = torch.linalg.vector_norm(x, dim=2, keepdim=True)
        return self.scale * (x / length.clamp(min=EPS))


class SwitchableNorm(TokenNorm):
    """γ ⊙ (x − μ) / √(v + ε) + β with μ = Σ w_k μ_k and v = Σ w'_k σ_k² (arXiv 1806.10779).

    k runs over InstanceNorm, LayerNorm and BatchNorm. w and w' are softmaxes of learned scalars, which start equal.
    LayerNorm's statistics are per token, as in transformers. The paper's are over all positions of an image, because
    it normalises feature maps.
    """

    running_mean: Tensor
    running_variance: Tensor
    momentum = 0.1

    def __init__(self, width: int, *, heads: int, grid: Grid) -> None:
        super().__init__(width)
        self.mean_share = nn.Parameter(torch.zeros(3))
        self.variance_share = nn.Parameter(torch.zeros(3))
        self.register_buffer("running_mean", torch.zeros(width))
        self.register_buffer("running_variance", torch.ones(width))

    def reset_running_stats(self) -> None:
        """Reset the running mean to 0 and the running variance to 1."""
        self.running_mean.zero_()
        self.running_variance.fill_(1)

    def forward(self, x: Tensor) -> Tensor:
        """Map [batch, tokens, width] to the same shape."""
        seen = [
            torch.var_mean(x, dim=1, correction=0, keepdim=True),
            torch.var_mean(x, dim=2, correction=0, keepdim=True),
        ]
        if self.training:
            variance, mean = torch.var_mean(x, dim=(0, 1), correction=0)
            with torch.no_grad():
                self.running_mean.lerp_(mean.to(self.running_mean.dtype), self.momentum)
                self.running_variance.lerp_(variance.to(self.running_variance.dtype), self.momentum)
        else:
            variance, mean = self.running_variance, self.running_mean
        seen.append((variance, mean))
        means, variances = self.mean_share.softmax(dim=0), self.variance_share.softmax(dim=0)
        mean = sum((share * of[1] for share, of in zip(means, seen, strict=True)), x.new_zeros(()))
        variance = sum((share * of[0] for share, of in zip(variances, seen, strict=True)), x.new_zeros(()))
        return self.affine((x - mean) / (variance + EPS).sqrt())


class _QuadraticMean(torch.autograd.Function):
    """x / √ψ² with PowerNorm's gradient, which uses a running mean ν in place of the batch's mean."""

    @staticmethod
    def forward(context: Any, x: Tensor, root: Tensor, nu: Tensor) -> Tensor:
        scaled = x / root
        context.save_for_backward(scaled, root, nu)
        return scaled

    @staticmethod
    def backward(context: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        scaled, root, nu = context.saved_tensors
        gradient = gradients[0] - nu * scaled
        # ν (1 − (1 − α) Γ) + (1 − α) Λ, where Γ is the mean of x̂² and Λ that of the gradient times x̂.
        change = (1 - PowerNorm.alpha) * (gradient * scaled).mean(dim=(0, 1))
        nu.add_(torch.where(change.isfinite(), change, 0))  # under loss scaling, some steps overflow
        return gradient / root, None, None


class PowerNorm(TokenNorm):
    """γ ⊙ x / √(ψ² + ε) + β, with ψ² a running mean of each channel's squares (arXiv 2003.07845, Algorithm 2).

    ψ_t² = α ψ_{t−1}² + (1 − α) mean x²; the output uses ψ_{t−1}. The gradient is that of normalising by the batch's
    mean square, with the part through ψ replaced by a running mean ν. During the first `warm_up` steps, the output
    uses the batch's own mean square, as in the released code. The number of these steps is that of DTN's code; a
    shorter training run never leaves this phase. Unlike here, DTN's code first divides by each head's root mean square.
    """

    alpha = 0.9
    warm_up = 3000  # steps

    mean_square: Tensor
    nu: Tensor
    steps: Tensor

    def __init__(self, width: int, *, heads: int, grid: Grid) -> None:
        super().__init__(width)
        self.register_buffer("mean_square", torch.ones(width))
        self.register_buffer("nu", torch.zeros(width))
        self.register_buffer("steps", torch.zeros((), dtype=torch.int64))

    def reset_running_stats(self) -> None:
        """Reset to ψ² = 1, ν = 0 and step 0."""
        self.mean_square.fill_(1)
        self.nu.zero_()
        self.steps.zero_()

    def forward(self, x: Tensor) -> Tensor:
        """Map [batch, tokens, width] to the same shape."""
        if not self.training:
            return self.affine(x / (self.mean_square + EPS).sqrt())
        with torch.no_grad():
            now = x.square().mean(dim=(0, 1)).to(self.mean_square.dtype)
            self.steps.add_(1)
            root = (torch.where(self.steps <= self.warm_up, now, self.mean_square) + EPS).sqrt()
            # At first, ψ² is the plain mean over all steps so far, so its initial value of 1 has no influence.
            self.mean_square.lerp_(now, (1 / self.steps).clamp(min=1 - self.alpha))
        scaled: Tensor = _QuadraticMean.apply(x, root, self.nu)
        return self.affine(scaled)


def norm_maker(norm: Norm, width: int, *, heads: int, grid: Grid) -> Callable[[], nn.Module] | None:
    """A factory that makes one norm layer; None for the architecture's own LayerNorm.

    Args:
        norm: the level of the norm axis.
        width: the tokens' channels.
        heads: the number of attention heads.
        grid: rows and columns of the tokens.
    """
    if norm.name == "ln":
        return None
    return partial(resolve(norm.tokens), width, heads=heads, grid=grid)
