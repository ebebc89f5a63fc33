"""Published numbers: claim files, their schema, and checks of the papers' own arithmetic."""
