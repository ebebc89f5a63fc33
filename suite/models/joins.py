"""How a position embedding (PE) joins the blocks: the subject of the LaPE paper (arXiv 2212.05262).

A joining method is one function. It takes the PE tables ω and one map per block (learned if the method
asks for it, otherwise the identity). It returns `Terms`: what is added, and where. Every model of this
package applies those terms in the same way:

    x_0 = tokens + stem
    x   = x + stream[l]                                     before block l, on the residual stream
    x   = x + attention(LN_x(x + inside[l]) + branch[l])    what attention alone sees

To add a method, write its function below and register it. Every architecture, grid and table then has it.
Nothing here imports torch, so that a grid can be planned and its results read without it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from suite.models.levels import Cell, Level, Refusal
from suite.models.positions import POSITIONS
from suite.registry import Registry

if TYPE_CHECKING:
    from torch import Tensor

Map = Callable[["Tensor"], "Tensor"]


@dataclass(frozen=True)
class Terms:
    """What a joining method adds, and where. Tensors are [1, tokens, width].

    Attributes:
        stem: added to the tokens before the first block.
        stream: added to the residual stream before each block; one tensor per block, or none.
        inside: added to the input of each block's first norm; one per block, or none.
        branch: added to the output of each block's first norm; one per block, or none.
        omega: the position after the last block, where it isn't part of the stream. The next stage of a model in
            stages continues with it.
    """

    stem: Tensor | None = None
    stream: Sequence[Tensor] = ()
    inside: Sequence[Tensor] = ()
    branch: Sequence[Tensor] = ()
    omega: Tensor | None = None


@dataclass(frozen=True)
class BlockMap:
    """The learned map of a block for the position: scale · Norm(ω) + shift. Each of the three parts is optional."""

    norm: bool = False
    scale: Literal["scalar", "channel"] | None = None
    shift: bool = False


LAYER_NORM = BlockMap(norm=True, scale="channel", shift=True)


@dataclass(frozen=True)
class Join(Level):
    """A joining method: its function, and what it needs from the model.

    Attributes:
        terms: the function, from the tables and the blocks' maps.
        tables: "one" PE for all blocks, or one "per_block", which needs a learned PE.
        block_map: the map of each block; None for the identity.
    """

    name: str
    summary: str
    source: str
    terms: Callable[[Sequence[Tensor], Sequence[Map]], Terms]
    tables: Literal["one", "per_block"] = "one"
    block_map: BlockMap | None = None

    def refuses(self, cell: Cell) -> Refusal | None:
        """It must have a position to join, and tables that it can learn if it learns one for each block."""
        if (reason := self.refuses_position(cell["pe"])) is None:
            return None
        positions = [name for name in POSITIONS if self.refuses_position(name) is None]
        return Refusal(reason, f"choose pe {', '.join(positions)}", found=f"pe {cell['pe']!r} with join {self.name!r}")

    def refuses_position(self, pe: str) -> str | None:
        """Why this method can't be used with the PE type `pe`, or None if it can."""
        position = POSITIONS[pe]
        if self.name != "default" and not position.absolute:
            return f"join {self.name!r} has nothing to join: pe {pe!r} adds no position embedding to the tokens"
        if self.tables == "per_block" and not position.learnable:
            return f"join {self.name!r} learns a table per block, but pe {pe!r} is fixed"
        return None


JOINS: Registry[Join] = Registry("join")


def default(tables: Sequence[Tensor], maps: Sequence[Map]) -> Terms:
    """x_0 = tokens + ω; each block's LayerNorm serves tokens and position at once (Eq. 1–3)."""
    return Terms(stem=tables[0]) if tables else Terms()


def shared(tables: Sequence[Tensor], maps: Sequence[Map]) -> Terms:
    """LN(x_l + ω), the same ω before every block; as released, ω stays in the stream."""
    return Terms(stream=[tables[0]] * len(maps), omega=tables[0])


def shared_paper(tables: Sequence[Tensor], maps: Sequence[Map]) -> Terms:
    """LN(x_l + ω), the same ω in every block; as printed, the stream never holds it."""
    return Terms(inside=[tables[0]] * len(maps), omega=tables[0])


def unshared(tables: Sequence[Tensor], maps: Sequence[Map]) -> Terms:
    """LN(x_l + ω_l), a learned ω_l before every block; as released, each stays in the stream."""
    return Terms(stream=tables)


def unshared_paper(tables: Sequence[Tensor], maps: Sequence[Map]) -> Terms:
    """LN(x_l + ω_l), a learned ω_l in every block; as printed, the stream never holds one."""
    return Terms(inside=tables)


def lape_shared(tables: Sequence[Tensor], maps: Sequence[Map]) -> Terms:
    """LN_x(x_l) + LN_ω,l(ω): every block normalises the same ω on its own (first release)."""
    return Terms(branch=[layer_norm(tables[0]) for layer_norm in maps], omega=tables[0])


def lape(tables: Sequence[Tensor], maps: Sequence[Map]) -> Terms:
    """LN_x(x_l) + ω_{l+1}, where ω_{l+1} = LN_ω,l(ω_l) and ω_0 = ω (Eq. 11)."""
    omega, branch = tables[0], []
    for layer_norm in maps:
        omega = layer_norm(omega)
        branch.append(omega)
    return Terms(branch=branch, omega=omega)


def _register(
    terms: Callable[[Sequence[Tensor], Sequence[Map]], Terms],
    source: str,
    *,
    name: str = "",
    summary: str = "",
    tables: Literal["one", "per_block"] = "one",
    block_map: BlockMap | None = None,
) -> None:
    name, summary = name or terms.__name__, summary or (terms.__doc__ or "").strip()
    JOINS.register(name, Join(name, summary, source, terms, tables, block_map))


_register(default, "LaPE (ICCV 2023) §3.1; ViT")
_register(shared, "LaPE (ICCV 2023) §4.5, as released")
_register(shared_paper, "LaPE (ICCV 2023) §4.5, as printed")
_register(unshared, "LaPE (ICCV 2023) §4.5, as released", tables="per_block")
_register(unshared_paper, "LaPE (ICCV 2023) §4.5, as printed", tables="per_block")
_register(lape_shared, "LaPE (arXiv v1), first code release", block_map=LAYER_NORM)
_register(lape, "LaPE (ICCV 2023) Eq. 11", block_map=LAYER_NORM)

# Table 8 takes LaPE's LayerNorm apart: the same chain, with less than γ · Norm(ω) + β in each block.
for _name, _formula, _map in (
    ("pe_identity", "ω", None),
    ("pe_scalar", "γ · ω, γ a scalar", BlockMap(scale="scalar")),
    ("pe_scale", "γ · ω, γ per channel", BlockMap(scale="channel")),
    ("pe_affine", "γ · ω + β, both per channel", BlockMap(scale="channel", shift=True)),
    ("pe_norm", "Norm(ω)", BlockMap(norm=True)),
    ("pe_scalar_norm", "γ · Norm(ω), γ a scalar", BlockMap(norm=True, scale="scalar")),
    ("pe_scale_norm", "γ · Norm(ω), γ per channel", BlockMap(norm=True, scale="channel")),
):
    _register(
        lape,
        "LaPE (ICCV 2023) Table 8",
        name=_name,
        summary=f"LN_x(x_l) + ω_{{l+1}}, as lape, with LN_ω,l(ω) replaced by {_formula}",
        block_map=_map,
    )
