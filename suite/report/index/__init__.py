"""The page of all claims: one forest plot over all grids, and what is not tested with its reason and its cost."""
