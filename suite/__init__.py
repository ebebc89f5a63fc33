"""Does a published vision-transformer trick hold up? Paired ablation grids and honest verdicts."""

__version__ = "0.1.0"

# Part of every trial id. Raise it by hand when the same grid file would now mean another training:
# a fixed bug in a model, another order of random draws, another meaning of a recipe key.
CODE_EPOCH = 1
