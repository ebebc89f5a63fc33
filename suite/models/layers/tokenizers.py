"""Tokenizers: modules that turn images [batch, channels, height, width] into tokens [batch, tokens, width]."""

from __future__ import annotations

import math
from itertools import pairwise

import torch
from torch import Generator, Tensor, nn
from torch.nn.functional import max_pool2d, relu, unfold

from suite.models.layers.dropout import dropout
from suite.models.sizes import ConvolutionSize, PatchSize, TokensToTokenSize, WindowSize

HIDDEN_PLANES = 64  # output channels of each tokenizer convolution except the last (Compact Transformers)
UNFOLDINGS = ((7, 4, 2), (3, 2, 1), (3, 2, 1))  # kernel, stride, padding
TOKEN_DROP = 0.1  # dropout rate in a Performer block, as in the released code


class PatchTokenizer(nn.Module):
    """One token per square patch, in row-major order: a convolution with bias whose stride is its kernel size."""

    def __init__(self, size: PatchSize | WindowSize, in_chans: int) -> None:
        super().__init__()
        convolution = nn.Conv2d(in_chans, size.embed_dim, size.patch_size, stride=size.patch_size)
        self.convolutions = nn.ModuleList([convolution])  # same names as in ConvolutionTokenizer

    def forward(self, images: Tensor) -> Tensor:
        """Map [batch, channels, height, width] to [batch, patches, embed_dim]."""
        x: Tensor = self.convolutions[0](images)
        return x.flatten(2).transpose(1, 2)


class ConvolutionTokenizer(nn.Module):
    """One token per pixel of a feature map.

    The map comes from `conv_layers` stages, each a convolution without bias, ReLU and a 3×3 max-pool (stride 2).
    """

    def __init__(self, size: ConvolutionSize, in_chans: int) -> None:
        super().__init__()
        planes = [in_chans, *[HIDDEN_PLANES] * (size.conv_layers - 1), size.embed_dim]
        self.convolutions = nn.ModuleList(
            nn.Conv2d(before, after, size.conv_kernel, size.conv_stride, size.conv_padding, bias=False)
            for before, after in pairwise(planes)
        )

    def forward(self, images: Tensor) -> Tensor:
        """Map [batch, channels, height, width] to [batch, pixels of the feature map, embed_dim]."""
        x = images
        for convolution in self.convolutions:
            x = max_pool2d(relu(convolution(x)), kernel_size=3, stride=2, padding=1)
        return x.flatten(2).transpose(1, 2)


class RandomFeatures(nn.Module):
    """Frozen positive random features of the softmax kernel (Performer, arXiv 2009.14794).

    φ(x) = exp(Wx - |x|²/2) / √m. W is [m, width] with m = width / 2; its rows are orthogonal and have norm √m.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(width // 2, width), requires_grad=False)

    def forward(self, x: Tensor) -> Tensor:
        """Map [batch, tokens, width] to [batch, tokens, m]."""
        return torch.exp(x @ self.weight.T - x.square().sum(-1, keepdim=True) / 2) / math.sqrt(len(self.weight))

    @torch.no_grad()
    def draw(self, generator: Generator) -> Tensor:
        """Draw a new W on the CPU."""
        rows = torch.empty(self.weight.shape, device="cpu")
        return nn.init.orthogonal_(rows, generator=generator) * math.sqrt(len(rows))


class TokenPerformer(nn.Module):
    """A Performer block with one head of linear attention, which maps width `before` to `width`.

    As in the released code, the skip connection starts at v. In training, both residual branches have dropout.

    Args:
        before: the input tokens' channels.
        width: the output tokens' channels.
        eps: ε of the LayerNorms.
    """

    def __init__(self, before: int, width: int, eps: float) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(before, eps=eps)
        self.kqv = nn.Linear(before, 3 * width)  # in this order
        self.features = RandomFeatures(width)
        self.proj = nn.Linear(width, width)
        self.norm2 = nn.LayerNorm(width, eps=eps)
        self.mlp = nn.Sequential(nn.Linear(width, width), nn.GELU(), nn.Linear(width, width))

    def forward(self, x: Tensor) -> Tensor:
        """Map [batch, tokens, before] to [batch, tokens, width]."""
        k, q, v = self.kqv(self.norm1(x)).float().chunk(3, dim=-1)
        with torch.autocast(x.device.type, enabled=False):  # exp would overflow in half precision
            k, q = self.features(k), self.features(q)
            attended = (q @ (k.transpose(1, 2) @ v)) / ((q * k.sum(dim=1, keepdim=True)).sum(-1, keepdim=True) + 1e-8)
        rate = TOKEN_DROP if self.training else 0.0
        x = v + dropout(self.proj(attended), rate)
        return x + dropout(self.mlp(self.norm2(x)), rate)


class TokensToToken(nn.Module):
    """The tokens-to-token module: three overlapping unfoldings, then a linear projection.

    A Performer block follows each of the first two unfoldings.
    """

    def __init__(self, size: TokensToTokenSize, in_chans: int) -> None:
        super().__init__()
        patch = 3 * 3 * size.token_dim
        self.performers = nn.ModuleList(
            TokenPerformer(before, size.token_dim, size.norm_eps) for before in (7 * 7 * in_chans, patch)
        )
        self.projection = nn.Linear(patch, size.embed_dim)

    def forward(self, images: Tensor) -> Tensor:
        """Map [batch, channels, height, width] to [batch, tokens, embed_dim]."""
        x = images
        for stage, (kernel, stride, padding) in enumerate(UNFOLDINGS):
            side = (x.shape[-1] + 2 * padding - kernel) // stride + 1
            x = unfold(x, kernel, stride=stride, padding=padding).transpose(1, 2)
            if stage < len(self.performers):
                x = self.performers[stage](x).transpose(1, 2).unflatten(2, (side, side))
        tokens: Tensor = self.projection(x)
        return tokens
