"""The models: vision transformers with any position embedding, joining method and norm, and their exact costs.

`joins.py` holds LaPE itself. Convolutional networks are there for the norms that are published for them. The facts
about architectures, positions, joins and norms are torch-free; the public names import torch when first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from suite.faces import lazy

if TYPE_CHECKING:
    from suite.models.build import create_model as create_model
    from suite.models.timm_join import apply_join as apply_join
    from suite.models.timm_norm import apply_norm as apply_norm
    from suite.models.weights.reading import read_state as read_state
    from suite.models.weights.reference import load_reference as load_reference

__getattr__ = lazy(
    __name__,
    {
        "apply_join": "timm_join",
        "apply_norm": "timm_norm",
        "create_model": "build",
        "load_reference": "weights.reference",
        "read_state": "weights.reading",
    },
)
