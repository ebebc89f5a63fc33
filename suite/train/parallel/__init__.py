"""Data-parallel training of one trial on several processes."""
