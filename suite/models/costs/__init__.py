"""What a model costs without running it: parameters, multiply-accumulates and activations."""
