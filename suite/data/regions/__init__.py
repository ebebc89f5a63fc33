"""Images with regions that several people drew in each: their settings, and how they are read."""
