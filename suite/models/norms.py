"""The normalisations of the token stream. Facts only: the modules are elsewhere.

Nothing here needs torch, so that a grid can be planned and its results read without it.
"""

from __future__ import annotations

from dataclasses import dataclass

from suite.registry import Registry


@dataclass(frozen=True)
class Norm:
    """A normalisation of the tokens, before attention, before the MLP and before the head."""

    name: str
    summary: str
    source: str


NORMS: Registry[Norm] = Registry("norm")

NORMS.register("ln", Norm("ln", "LayerNorm, with the eps of the architecture", "LayerNorm (arXiv 1607.06450)"))
