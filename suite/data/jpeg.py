"""Decoding JPEG files faster than Pillow, to the same pixels.

Both use libjpeg-turbo. Pillow keeps four bytes per pixel and copies them for each array; simplejpeg writes an array.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

# Colours that simplejpeg and Pillow convert to RGB alike. The other ones, grey and CMYK, are left to Pillow.
_COLOURS = ("YCbCr", "RGB")


def rgb_pixels(data: bytes, most_area: int) -> npt.NDArray[np.uint8] | None:
    """Decode a JPEG file to uint8 [height, width, 3], or return None if Pillow must decode it or say what is wrong.

    Args:
        data: the file's bytes.
        most_area: the largest number of pixels to decode.
    """
    from simplejpeg import decode_jpeg, decode_jpeg_header

    try:
        height, width, colours, _ = decode_jpeg_header(data)
        if colours not in _COLOURS or height * width > most_area:
            return None
        # Strict is the default: a damaged file is an error, also where libjpeg would only warn.
        pixels: npt.NDArray[np.uint8] = decode_jpeg(data, "RGB")
    except ValueError:  # another format, or damaged
        return None
    return pixels
