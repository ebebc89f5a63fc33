"""Draws docs/spectrograms.png: the first test recording of each spoken digit, as the networks see it.

`python -m benchmarks.spectrograms [--data FOLDER]`, after `lape data prepare spoken_digits`.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from suite.data.cache import load_split, open_root, verify
from suite.grid import load_grid

ROOT = Path(__file__).parents[1]
FIGURE = ROOT / "docs" / "spectrograms.png"


def main() -> None:
    """Read the prepared data set and write the figure."""
    from matplotlib.figure import Figure

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, help="folder of the prepared data sets")
    root = open_root(parser.parse_args().data)
    dataset = load_grid(ROOT / "grids" / "spoken_digits.yaml").expand().trials[0].dataset
    verify(dataset, root)
    test = load_split(dataset, "test", root)
    figure = Figure(figsize=(9, 4), layout="constrained")
    panels = figure.subplots(2, 5).flat
    for digit, panel in enumerate(panels):
        image = test.images[np.flatnonzero(test.labels == digit)[0], ..., 0]
        panel.imshow(image, cmap="magma", vmin=0, vmax=255, interpolation="nearest")
        panel.set_title(str(digit))
        panel.set_xticks([])
        panel.set_yticks([])
    figure.supxlabel("time")
    figure.supylabel("mel band")
    figure.savefig(FIGURE, dpi=80, metadata={"Software": None})


if __name__ == "__main__":
    main()
