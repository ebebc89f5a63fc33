"""Reading weight files without running code from them, loading published checkpoints, and writing our own."""
