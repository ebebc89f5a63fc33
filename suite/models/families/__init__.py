"""The model architectures: one module per family."""
