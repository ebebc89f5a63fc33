"""The normalisation layers that the levels of the norm axis name."""
