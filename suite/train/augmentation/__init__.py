"""Augmentation of whole batches on their device, each image with draws of its own.

All draws come from a generator on the CPU, so that every device sees the same ones. The results are Pillow's, as the
published recipes have them: of colours to the bit, of geometry within a grey level for nearly all pixels.
"""
