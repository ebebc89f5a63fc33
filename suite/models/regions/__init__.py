"""Regions of an image from the patch features of a frozen transformer: DCN, its baselines, and measures of regions.

`network`, `modularity`, `partition` and `training` are the method of ACSeg (arXiv 2210.05944), `baselines` are k-means
and spectral clustering of the same features, `backbone` computes the features, `crops` cuts regions out of images,
`measures` and `matching` compare regions with those that people drew. docs/dcn.md has the formulas, with their sources.
"""
