"""Draws docs/segmentation.png: scikit-learn's two sample photographs, and their classes by trained segmenters.

`python -m benchmarks.masks GRID --weights FILE FILE`, with files of `lape run GRID --keep-weights` or of
`lape rerun TRIAL_ID --weights FILE`. CamVid's own images and masks may not be copied here, and these two photographs
have no masks: the figure shows what the networks say, not how right they are.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from benchmarks.regions import normalised
from suite.data.datasets import Dataset
from suite.errors import InputError
from suite.grid import load_grid
from suite.models.weights.checkpoint import Checkpoint, read_checkpoint

FIGURE = Path(__file__).parents[1] / "docs" / "segmentation.png"
CLASSES = (
    "sky", "building", "pole", "road", "pavement", "tree", "sign", "fence", "car", "pedestrian", "bicyclist",
)  # fmt: skip


def classes_of(model: nn.Module, photograph: npt.NDArray[np.uint8], dataset: Dataset) -> npt.NDArray[np.int64]:
    """The class of each pixel of the photograph's centre, [size, size]. photograph: uint8 [size, size, 3]."""
    inputs = normalised(photograph[None], dataset.mean, dataset.std)
    with torch.inference_mode():
        found: npt.NDArray[np.int64] = model.eval()(inputs)[0].argmax(0).numpy()
    return found


def fitted(photograph: npt.NDArray[np.uint8], size: int) -> npt.NDArray[np.uint8]:
    """The centre of a photograph, resized to [size, size, 3]."""
    from PIL import Image

    image = Image.fromarray(photograph)
    side = min(image.size)
    left, top = ((length - side) // 2 for length in image.size)
    square = image.crop((left, top, left + side, top + side)).resize((size, size), Image.Resampling.BICUBIC)
    return np.array(square)  # a copy: torch wants memory that may be written


def _read(path: Path, dataset: str) -> Checkpoint:
    kept = read_checkpoint(path)
    if kept is None or kept.dataset != dataset:
        raise InputError(
            "these are not weights of the grid",
            expected=f"a file of `lape run --keep-weights`, trained on {dataset}",
            found="weights without a description" if kept is None else f"weights trained on {kept.dataset}",
            where=str(path),
            fix="give a file of this grid's runs",
        )
    return kept


def draw(kept: list[Checkpoint], dataset: Dataset) -> None:
    """Write the figure: a row for each photograph, a column for each model."""
    from matplotlib.colors import ListedColormap
    from matplotlib.figure import Figure
    from matplotlib.patches import Patch
    from sklearn.datasets import load_sample_images

    photographs = [fitted(image, dataset.image_size) for image in load_sample_images().images]
    colours = ListedColormap([f"C{number}" for number in range(10)] + ["black"])
    figure = Figure(figsize=(2.4 * (1 + len(kept)) + 1.6, 4.8), layout="constrained")
    panels = figure.subplots(len(photographs), 1 + len(kept))
    seen: set[int] = set()
    for row, photograph in enumerate(photographs):
        panels[row, 0].imshow(photograph)
        for column, one in enumerate(kept, 1):
            found = classes_of(one.model, photograph, dataset)
            seen |= set(found.ravel().tolist())
            panels[row, column].imshow(found, cmap=colours, vmin=0, vmax=len(CLASSES) - 1, interpolation="nearest")
    for panel, title in zip(panels[0], ("photograph", *(one.cell.join for one in kept)), strict=True):
        panel.set_title(title)
    for panel in panels.flat:
        panel.set_xticks([])
        panel.set_yticks([])
    patches = [Patch(color=colours(number), label=CLASSES[number]) for number in sorted(seen)]
    figure.legend(handles=patches, loc="outside right center", frameon=False)
    figure.savefig(FIGURE, dpi=80, metadata={"Software": None})


def main() -> None:
    """Read the weights and write the figure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("grid", help="the grid's file")
    parser.add_argument("--weights", type=Path, nargs="+", required=True, help="of each column")
    asked = parser.parse_args()
    try:
        dataset = load_grid(asked.grid).expand().trials[0].dataset
        draw([_read(path, dataset.name) for path in asked.weights], dataset)
    except InputError as error:
        parser.exit(2, f"error: {error}\n")


if __name__ == "__main__":
    main()
