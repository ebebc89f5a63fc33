"""Images per second of the suite's training, by turns with a loop made of timm's pieces."""
