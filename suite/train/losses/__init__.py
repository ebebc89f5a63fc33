"""Loss functions: cross entropy, losses on patches, distillation."""
