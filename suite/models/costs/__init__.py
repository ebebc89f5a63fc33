"""Static costs of a model: parameters, multiply-accumulates and activations."""
