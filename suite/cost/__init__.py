"""What a model costs: parameters, multiply-accumulates, activations, and by measurement time and memory."""
