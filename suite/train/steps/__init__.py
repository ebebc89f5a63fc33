"""Training steps: optimiser, schedule, precision, micro-batches and stacked seeds."""
