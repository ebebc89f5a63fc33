"""From a YAML file to trials: grids, recipes, the levels of each axis, and which of them fit together.

Torch-free. A trial's id is computed here, and never changes for a committed grid.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from suite.faces import lazy

if TYPE_CHECKING:
    from suite.grid.grid import Grid as Grid
    from suite.grid.grid import load_grid as load_grid
    from suite.grid.recipe import Recipe as Recipe
    from suite.grid.trial import Trial as Trial

__getattr__ = lazy(
    __name__,
    {
        "Grid": "grid",
        "Recipe": "recipe",
        "Trial": "trial",
        "load_grid": "grid",
    },
)
