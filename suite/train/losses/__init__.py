"""What a training minimises: cross entropy, patch losses, distillation."""
