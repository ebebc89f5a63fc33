"""Images per second of the suite's training, interleaved with a timm-based training loop."""
