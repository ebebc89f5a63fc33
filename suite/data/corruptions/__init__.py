"""Corrupted copies of test images: their settings, how they are made, and where they are kept."""
