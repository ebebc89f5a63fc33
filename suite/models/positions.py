"""The position embeddings (PE): what each adds to the tokens, and its table where that is fixed.

Nothing here imports torch, so that a grid can be planned and its results read without it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from suite.models.levels import Cell, Level, Refusal
from suite.registry import Registry

if TYPE_CHECKING:
    import numpy as np  # imported by what makes a table: a grid is listed without it
    import numpy.typing as npt

    Table = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Position(Level):
    """A PE type.

    Attributes:
        absolute: a vector is added to each token.
        learnable: that vector is learned.
        table: makes the vectors of a fixed PE, [tokens, width], from (grid rows, grid columns), the number of prefix
            tokens and the width.
        width_multiple: the model's width must be divisible by it.
        relative: each block's attention adds a learned bias to its scaled products, per head and per offset between
            two patches.
    """

    name: str
    summary: str
    source: str
    absolute: bool = True
    learnable: bool = False
    table: Callable[[tuple[int, int], int, int], Table] | None = None
    width_multiple: int = 1
    relative: bool = False

    def refuses(self, cell: Cell) -> Refusal | None:
        """Convolutional networks have no tokens; some tables need a width that is divisible."""
        width = cell.arch.size.width
        if (reason := self.refuses_width(width)) is None:
            return None
        if width is None:
            return Refusal(reason)
        return Refusal(
            reason,
            "change embed_dim",
            f"a width divisible by {self.width_multiple}",
            f"embed_dim {width} of {cell.arch.name}",
        )

    def refuses_width(self, width: int | None) -> str | None:
        """Why this PE can't be built for tokens of this width (None: the model has no tokens); None if it can."""
        if width is None:
            adds = self.absolute or self.relative
            return f"pe {self.name!r} is of tokens, and a convolutional network has none" if adds else None
        if width % self.width_multiple:
            return f"pe {self.name!r} needs a width divisible by {self.width_multiple}, but embed_dim is {width}"
        return None


def sin1d(grid: tuple[int, int], prefix: int, width: int) -> Table:
    """The 1-D sinusoid over the token sequence; a class token is position 0.

    Angle p / 10000^(2⌊i/2⌋ / width) at position p and channel i; sine in even channels, cosine in odd ones.
    """
    import numpy as np

    tokens = prefix + grid[0] * grid[1]
    channel = np.arange(width)
    angle = np.arange(tokens)[:, None] / 10000.0 ** (2 * (channel // 2) / width)
    return np.where(channel % 2 == 0, np.sin(angle), np.cos(angle)).astype(np.float32)


def sin2d(grid: tuple[int, int], prefix: int, width: int) -> Table:
    """The 2-D sinusoid: the first half of the channels encodes the column, the second half the row.

    Within a half of w channels, sine (even) and cosine (odd) of p · 10000^(-2k/w), k = 0, 1, …; the
    prefix tokens' rows are zero.
    """
    import numpy as np

    rows, columns = grid
    half = width // 2
    frequency = 10000.0 ** (-np.arange(0, half, 2) / half)

    def encode(positions: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
        angle = positions[:, None] * frequency
        return np.stack([np.sin(angle), np.cos(angle)], axis=2).reshape(len(positions), half)

    row, column = (axis.ravel() for axis in np.mgrid[:rows, :columns])
    patches = np.concatenate([encode(column), encode(row)], axis=1)
    return np.concatenate([np.zeros((prefix, width)), patches]).astype(np.float32)


POSITIONS: Registry[Position] = Registry("pe")

for _position in (
    Position("none", "no position embedding at all", "ablation", absolute=False),
    Position("learnable", "a learned vector per token", "ViT (arXiv 2010.11929) §3.1", learnable=True),
    Position("sin1d", "fixed 1-D sinusoid over the token sequence", "Transformer (arXiv 1706.03762) §3.5", table=sin1d),
    Position(
        "sin2d", "fixed 2-D sinusoid over rows and columns", "MoCo v3 (arXiv 2104.02057)", table=sin2d, width_multiple=4
    ),
    Position(
        "rpe2d",
        "a learned bias of attention per head, layer and 2-D offset; nothing is added to tokens",
        "Swin (arXiv 2103.14030) Eq. 4",
        absolute=False,
        relative=True,
    ),
    Position(
        "learnable+rpe2d",
        "a learned vector per token, and rpe2d's bias",
        "LaPE (ICCV 2023) Table 1",
        learnable=True,
        relative=True,
    ),
):
    POSITIONS.register(_position.name, _position)


def relative_index(grid: tuple[int, int]) -> npt.NDArray[np.int64]:
    """The row of a bias table [(2H-1)(2W-1), heads] for each query and key of H×W patches, [HW, HW].

    (y_q - y_k + H - 1)(2W - 1) + (x_q - x_k + W - 1): Swin (arXiv 2103.14030) §3.2, as LaPE's release has it.
    """
    import numpy as np

    rows, columns = grid
    y, x = (axis.ravel() for axis in np.mgrid[:rows, :columns])
    index: npt.NDArray[np.int64] = (y[:, None] - y + rows - 1) * (2 * columns - 1) + (x[:, None] - x + columns - 1)
    return index
