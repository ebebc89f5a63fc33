"""The tables of a grid: the summary, published tables in the paper's layout, and effects of combined methods."""
