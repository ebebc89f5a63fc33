"""The normalisation layers behind the levels of the norm axis."""
