"""Reading weight files without running code from them, and loading published checkpoints."""
