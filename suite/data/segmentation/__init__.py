"""Images with masks (semantic segmentation): their settings, how they are found and read, and batches of them."""
