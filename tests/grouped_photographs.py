"""Made-up photographs with regions in BSDS500's layout, for tests of grouping: halves and quarters of plain colours."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image
from scipy.io import savemat

from tests.data.test_bsds500 import cells


def photograph(index: int, side: int = 16) -> tuple[np.ndarray, list[np.ndarray]]:
    """A photograph, uint8 [side, side + 4, 3], and the regions that one or two people drew in it."""
    random = np.random.default_rng(index)
    regions = np.ones((side, side + 4), np.uint16)
    regions[:, int(random.integers(side // 4, side)) :] = 2
    finer = regions.copy()
    finer[side // 2 :] += 2
    image = random.integers(0, 256, (5, 3))[finer] + random.integers(-8, 9, (*finer.shape, 1))
    return image.clip(0, 255).astype(np.uint8), [regions, finer][: 1 + index % 2]


def write_photographs(folder: Path, train: int = 6, test: int = 4, side: int = 16) -> Path:
    """A folder with the splits val and test."""
    for split, numbers in (("val", range(train)), ("test", range(train, train + test))):
        for part in ("images", "groundTruth"):
            (folder / part / split).mkdir(parents=True)
        for number in numbers:
            image, drawn = photograph(number, side)
            Image.fromarray(image).save(folder / f"images/{split}/{number}.jpg", quality=95)
            savemat(folder / f"groundTruth/{split}/{number}.mat", {"groundTruth": cells(*drawn)})
    return folder
