"""Lists of operators and digits (Long ListOps): their settings, how they are generated, and their tokens."""
