"""`lape try`: from a method and a number of hours to a grid, a claim and a verdict."""
