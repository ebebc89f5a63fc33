"""Augmentation of whole batches on their device, with separate random draws for each image.

All draws come from a generator on the CPU, so they are the same for every device. The results match Pillow, which the
published recipes use: colour operations bit for bit, geometric operations within one grey level for nearly all pixels.
"""
