"""The parts that the architectures share. Tokens are [batch, tokens, width]."""

from __future__ import annotations

from itertools import pairwise

from torch import Tensor, nn
from torch.nn.functional import max_pool2d, relu, scaled_dot_product_attention

from suite.models.architectures import ConvolutionSize, PatchSize, Size

HIDDEN_PLANES = 64  # of every convolution of a tokenizer but the last (Compact Transformers)


def plus(x: Tensor, term: Tensor | None) -> Tensor:
    """The sum of x and a term, where there is a term."""
    return x if term is None else x + term


class DropPath(nn.Module):
    """Stochastic depth: in training, a sample's branch is zero at probability `rate`, else scaled by 1 / (1 - rate)."""

    def __init__(self, rate: float) -> None:
        super().__init__()
        self.rate = rate

    def forward(self, x: Tensor) -> Tensor:
        """[batch, tokens, width] to the same."""
        if not self.training or self.rate == 0:
            return x
        keep = 1 - self.rate
        return x * x.new_empty(len(x), 1, 1).bernoulli_(keep).div_(keep)

    def extra_repr(self) -> str:
        """For `print(model)`."""
        return f"rate={self.rate:.4g}"


class Attention(nn.Module):
    """Multi-head self-attention: one projection to q, k and v (in this order), scale 1/√(width of a head)."""

    def __init__(self, width: int, heads: int, *, qkv_bias: bool, drop: float) -> None:
        super().__init__()
        self.heads = heads
        self.drop = drop
        self.qkv = nn.Linear(width, 3 * width, bias=qkv_bias)
        self.proj = nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        """[batch, tokens, width] to the same."""
        batch, tokens, width = x.shape
        q, k, v = self.qkv(x).reshape(batch, tokens, 3, self.heads, width // self.heads).permute(2, 0, 3, 1, 4).unbind()
        x = scaled_dot_product_attention(q, k, v, dropout_p=self.drop if self.training else 0.0)
        x = self.proj(x.transpose(1, 2).reshape(batch, tokens, width))
        return x


class MLP(nn.Sequential):
    """Linear, exact GELU, Linear."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(width, hidden)
        self.gelu = nn.GELU()
        self.fc2 = nn.Linear(hidden, width)


class Block(nn.Module):
    """What a transformer block is made of; a family's own `forward` says in which order."""

    def __init__(self, size: Size, drop_path: float) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(size.embed_dim, eps=size.norm_eps)
        self.attention = Attention(size.embed_dim, size.num_heads, qkv_bias=size.qkv_bias, drop=size.attn_drop)
        self.norm2 = nn.LayerNorm(size.embed_dim, eps=size.norm_eps)
        self.mlp = MLP(size.embed_dim, int(size.embed_dim * size.mlp_ratio))
        self.drop_path = DropPath(drop_path)

    def forward(self, x: Tensor, stream: Tensor | None, branch: Tensor | None) -> Tensor:
        """[batch, tokens, width] to the same.

        `stream` and `branch` are what the joining method adds to the residual stream before the block, and
        to the input of its attention: [1, tokens, width] each, or None.
        """
        raise NotImplementedError


class PatchTokenizer(nn.Module):
    """A token per square patch, in row-major order: a convolution whose stride is its kernel, with bias."""

    def __init__(self, size: PatchSize, in_chans: int) -> None:
        super().__init__()
        convolution = nn.Conv2d(in_chans, size.embed_dim, size.patch_size, stride=size.patch_size)
        self.convolutions = nn.ModuleList([convolution])  # the names are those of ConvolutionTokenizer

    def forward(self, images: Tensor) -> Tensor:
        """[batch, channels, height, width] to [batch, patches, embed_dim]."""
        x: Tensor = self.convolutions[0](images)
        return x.flatten(2).transpose(1, 2)


class ConvolutionTokenizer(nn.Module):
    """A token per pixel of a feature map: conv_layers × (convolution without bias, ReLU, max-pool 3/2/1)."""

    def __init__(self, size: ConvolutionSize, in_chans: int) -> None:
        super().__init__()
        planes = [in_chans, *[HIDDEN_PLANES] * (size.conv_layers - 1), size.embed_dim]
        self.convolutions = nn.ModuleList(
            nn.Conv2d(before, after, size.conv_kernel, size.conv_stride, size.conv_padding, bias=False)
            for before, after in pairwise(planes)
        )

    def forward(self, images: Tensor) -> Tensor:
        """[batch, channels, height, width] to [batch, pixels of the feature map, embed_dim]."""
        x = images
        for convolution in self.convolutions:
            x = max_pool2d(relu(convolution(x)), kernel_size=3, stride=2, padding=1)
        return x.flatten(2).transpose(1, 2)


class ClassTokenPool(nn.Module):
    """The first token stands for the image."""

    def forward(self, x: Tensor) -> Tensor:
        """[batch, tokens, width] to [batch, width]."""
        return x[:, 0]


class SequencePool(nn.Module):
    """The mean of the tokens, weighted by a softmax over learned scores."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.score = nn.Linear(width, 1)

    def forward(self, x: Tensor) -> Tensor:
        """[batch, tokens, width] to [batch, width]."""
        weights: Tensor = self.score(x).softmax(dim=1)
        return (weights.transpose(1, 2) @ x).squeeze(1)
