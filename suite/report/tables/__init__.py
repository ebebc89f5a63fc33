"""The tables of a grid: summary, the paper's own layout, effects of combined methods."""
