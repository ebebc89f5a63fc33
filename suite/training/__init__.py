"""The parts of a training: schedule, augmentation, optimiser, precision, and one epoch of it."""
