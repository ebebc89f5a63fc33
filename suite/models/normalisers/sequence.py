"""Dynamic Token Normalization (DTN, arXiv 2112.02624) on padded sequences.

As in `suite.models.normalisers.dtn`, with the distance along the sequence in place of the plane's: R = [d, d²] from
source to target token, and a learned a^h in R². The softmax of P runs over the sequence's own tokens, so padding is in
no statistic. The heads favour H neighbouring offsets, around 0. P is never pooled.

The paper's form for sequences isn't known here: this is its equation with one coordinate.
"""

from __future__ import annotations

import torch
from torch import Generator, Tensor, nn
from torch.nn.functional import threshold

from suite.models.normalisers.dtn import LEAST
from suite.models.normalisers.plain import EPS, TokenNorm
from suite.models.sizes import Grid

_LARGEST = 60.0  # of P's logits, over the largest one of the tokens up to the target; larger ones are cut to it


class SequenceTokenNorm(TokenNorm):
    """DTN on sequences.

    Args:
        width: the tokens' channels.
        heads: the number of heads. Each has its own P and λ for its width / heads channels.
        grid: one row of tokens. There must be no tokens outside the sequence, such as a class token.
    """

    def __init__(self, width: int, *, heads: int, grid: Grid) -> None:
        super().__init__(width)
        self.heads = heads
        self.position = nn.Parameter(torch.zeros(heads, 2))  # a^h
        self.gate = nn.Parameter(torch.zeros(heads))

    def start(self, name: str, drawn: Tensor, generator: Generator) -> None:
        """Initialise a parameter: γ = 1, β = 0, λ = ½, and a^h such that head h favours the offset h − (H − 1) / 2.

        Args:
            name: the parameter's name in this module.
            drawn: the tensor to fill.
            generator: the source of random numbers.
        """
        if name != "position":
            super().start(name, drawn, generator)
            return
        offsets = torch.arange(self.heads) - (self.heads - 1) / 2
        drawn.copy_(torch.stack([2 * offsets, -torch.ones(self.heads)], dim=1))

    def weights(self, tokens: int) -> Tensor:
        """P before its rows are normalised, [heads, tokens, tokens], targets by sources.

        The tokens up to a target aren't padding if the target isn't. So each row is scaled by its largest entry among
        these: then the sum over a sequence's own tokens is at least 1, and no row depends on how long the padding is.
        """
        place = torch.arange(tokens, device=self.position.device, dtype=self.position.dtype)
        distance = place[:, None] - place
        linear, square = self.position.T[:, :, None, None]
        scores = linear * distance + square * distance.square()
        largest = scores.detach().masked_fill(distance < 0, -torch.inf).amax(dim=2, keepdim=True)
        # Without subnormal numbers, which CPUs multiply slowly.
        return threshold((scores - largest).clamp(max=_LARGEST).exp(), LEAST, 0.0)

    def forward(self, x: Tensor, padding: Tensor) -> Tensor:
        """Map [batch, tokens, width] to the same shape. padding: which tokens are padding, bool [batch, tokens]."""
        x = x.to(torch.promote_types(x.dtype, self.weight.dtype))
        with torch.autocast(x.device.type, enabled=False):  # half precision is too coarse for E[x²] − E[x]²
            variance, mean = torch.var_mean(x, dim=2, correction=0, keepdim=True)
            near_mean, near_variance = self._near(x, (~padding).to(x.dtype))
            share = self.gate.sigmoid().repeat_interleave(x.shape[2] // self.heads)
            mean = share * mean + (1 - share) * near_mean
            variance = share * variance + (1 - share) * near_variance
            return self.affine((x - mean) / (variance + EPS).sqrt())

    def _near(self, x: Tensor, own: Tensor) -> tuple[Tensor, Tensor]:
        """Mean P x and variance P (x ⊙ x) − (P x) ⊙ (P x), [batch, tokens, width] each.

        Args:
            x: the tokens, [batch, tokens, width].
            own: 1 for a sequence's own tokens and 0 for padding, [batch, tokens].
        """
        batch, tokens, _ = x.shape
        # Subtracting one vector from all tokens leaves the variance unchanged and reduces its rounding error.
        hidden = own[:, :, None]
        centre = (x.detach() * hidden).sum(dim=1, keepdim=True) / hidden.sum(dim=1, keepdim=True).clamp(min=1)
        x = (x - centre) * hidden
        weights = self.weights(tokens)
        # One matrix product per head for the whole batch: P isn't copied per sequence.
        both = torch.cat([x, x * x]).unflatten(2, (self.heads, -1)).permute(2, 1, 0, 3).flatten(2)
        sums = torch.bmm(weights, both).unflatten(2, (2 * batch, -1)).permute(2, 1, 0, 3)
        total = (own @ weights.flatten(0, 1).T).unflatten(1, (self.heads, tokens)).transpose(1, 2).clamp(min=LEAST)
        first, second = (sums.unflatten(0, (2, batch)) / total[:, :, :, None]).flatten(3).unbind()
        return first + centre, (second - first * first).clamp(min=0)

    def extra_repr(self) -> str:
        """The settings, for `print(model)`."""
        return f"heads={self.heads}"
