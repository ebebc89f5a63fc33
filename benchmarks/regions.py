"""Measures how fast DCN, k-means and spectral clustering are on the same features. `python -m benchmarks.regions`.

speed: images per CPU second of one thread, on features of random communities. The methods take turns, in an order that
is reversed every round, so other programs disturb the ratios little.

picture: the regions of scikit-learn's two sample photographs, by a network of the grid dcn_budget, whose weights
`lape run --keep-weights` or `lape rerun --weights` kept (`--weights`).

The figures are written to docs/dcn.json, and from them the table of docs/dcn.md. The grid
dcn_budget measures how well regions agree with people's.
"""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]  # of scikit-learn's own dependencies
from torch import Tensor

from benchmarks.documents import add_parts, chosen_parts, fill, markdown, read_figures, write_figures
from benchmarks.interleaved import interleaved
from benchmarks.rows import Row
from suite.errors import InputError
from suite.grid.grid import load_grid
from suite.models.families.regions import Regions
from suite.models.regions.baselines import kmeans_regions, spectral_regions
from suite.models.regions.network import ConceptGenerator
from suite.models.regions.partition import partition, segment
from suite.models.weights.checkpoint import read_checkpoint
from suite.store.environment import processor

GRID = "dcn_budget"
DOCS = Path(__file__).resolve().parents[1] / "docs"
FIGURES, DOCUMENT, PICTURE = DOCS / "dcn.json", DOCS / "dcn.md", DOCS / "dcn.png"
PARTS = ("speed", "picture")
Labels = npt.NDArray[np.int64]

CLUSTERS = 5  # of DCN's prototypes, published, and of the clusters of both baselines
LEAST = 10.0  # times as many images per second as spectral clustering, where that is as slow as published
WIDTH, ROUNDS = 384, 3  # ViT-S
# Images of a round, by patches a side: 224 pixels in patches of 16 or 8, and 336 and 448 in patches of 8.
IMAGES = {14: 32, 28: 32, 42: 8, 56: 4}
PUBLISHED = 3.4  # images/s of spectral clustering in the paper


def communities(side: int, images: int, seed: int = 0) -> Tensor:
    """Draw features of images whose patches belong to five communities, [images, side², width]."""
    draw = torch.Generator().manual_seed(seed)
    centres = torch.randn(images, CLUSTERS, WIDTH, generator=draw)
    members = torch.randint(CLUSTERS, (images, side**2), generator=draw)
    noise = torch.randn(images, side**2, WIDTH, generator=draw)
    return centres.gather(1, members[:, :, None].expand(-1, -1, WIDTH)) + noise


def speed() -> dict[str, Any]:
    """Measure images per CPU second: the median of the rounds, of each method and number of patches."""
    rows = []
    torch.manual_seed(0)
    network = ConceptGenerator(WIDTH)
    for side, images in IMAGES.items():
        features = communities(side, images)
        methods: dict[str, Callable[[], object]] = {
            "DCN": lambda features=features: segment(network, features),  # type: ignore[misc]
            "k-means": lambda features=features: kmeans_regions(features, CLUSTERS),  # type: ignore[misc]
            "spectral": lambda features=features: spectral_regions(features, CLUSTERS),  # type: ignore[misc]
        }
        with threadpool_limits(1):
            seconds = interleaved(methods, ROUNDS, time.process_time)
        rows += [
            {"patches": side**2, "method": name, "images_per_second": images / float(np.median(taken))}
            for name, taken in seconds.items()
        ]
    return {"rows": rows, "processor": processor(), "torch": torch.__version__, "width": WIDTH}


def ratios(found: Mapping[str, Any]) -> dict[int, float]:
    """Return DCN's images per second, divided by those of spectral clustering, by the number of patches."""
    by = {(row["patches"], row["method"]): row["images_per_second"] for row in found["rows"]}
    return {side**2: by[side**2, "DCN"] / by[side**2, "spectral"] for side in IMAGES}


def rows(figures: Mapping[str, Any]) -> list[Row]:
    """Return the speed of DCN beside its bound, where spectral clustering is as slow as published."""
    return [
        Row(f"DCN / spectral clustering, {count} patches", ratio, math.inf, LEAST, " ×")
        for count, ratio in around(figures["speed"]).items()
    ]


def around(found: Mapping[str, Any]) -> dict[int, float]:
    """Return `ratios` of the numbers of patches next to that at which spectral clustering is as fast as published."""
    rates = {row["patches"]: row["images_per_second"] for row in found["rows"] if row["method"] == "spectral"}
    nearest = {
        max((count for count, rate in rates.items() if rate >= PUBLISHED), default=min(rates)),
        min((count for count, rate in rates.items() if rate <= PUBLISHED), default=max(rates)),
    }
    return {count: ratio for count, ratio in ratios(found).items() if count in nearest}


def normalised(images: npt.NDArray[np.uint8], mean: Sequence[float], std: Sequence[float]) -> Tensor:
    """Map images [images, side, side, 3] to what a backbone takes, [images, 3, side, side].

    Args:
        images: the images.
        mean: of each channel, on a scale from 0 to 1.
        std: likewise, the standard deviations.
    """
    scaled = (torch.from_numpy(images).float() / 255 - torch.tensor(mean)) / torch.tensor(std)
    return scaled.permute(0, 3, 1, 2).contiguous()


def enlarged(labels: Labels, shape: tuple[int, ...]) -> Labels:
    """Map the labels of a square grid of patches, [patches], to pixels [height, width], each by its patch."""
    side = round(len(labels) ** 0.5)
    rows, columns = (((np.arange(length) + 0.5) * side / length).astype(int) for length in shape)
    return labels.reshape(side, side)[np.ix_(rows, columns)]


def picture(weights: Path) -> None:
    """Draw scikit-learn's sample photographs and their regions by each method.

    Args:
        weights: kept weights of a run of the grid dcn_budget that trained DCN.

    Raises:
        InputError: the file can't be read, or has another model.
    """
    from matplotlib.figure import Figure
    from PIL import Image
    from sklearn.datasets import load_sample_images

    kept = read_checkpoint(weights)
    if kept is None or not isinstance(kept.model, Regions):
        raise InputError(
            "these weights draw no regions",
            expected=f"kept weights of a run of {GRID} with DCN",
            found="weights that don't describe their model" if kept is None else kept.cell.arch.name,
            where=str(weights),
            fix=f"run: lape rerun TRIAL_ID --grid {GRID} --weights FILE",
        )
    side, dataset = kept.model.image_size, load_grid(GRID).expand().trials[0].dataset
    whole = load_sample_images().images
    small = [np.asarray(Image.fromarray(image).resize((side, side), Image.Resampling.BICUBIC)) for image in whole]
    with torch.inference_mode():
        grouped = kept.model.eval()(normalised(np.stack(small), dataset.mean, dataset.std))
    found = {
        "DCN": partition(grouped.similarities).labels.numpy(),
        f"k-means, k = {CLUSTERS}": kmeans_regions(grouped.features, CLUSTERS),
        f"spectral, k = {CLUSTERS}": spectral_regions(grouped.features, CLUSTERS),
    }
    figure = Figure(figsize=(9, 3.4), layout="constrained")
    panels = figure.subplots(len(whole), 1 + len(found))
    for row, image in enumerate(whole):
        panels[row, 0].imshow(image)
        for column, labels in enumerate(found.values(), 1):
            panels[row, column].imshow(enlarged(labels[row], image.shape[:2]), cmap="viridis", interpolation="nearest")
    for panel, title in zip(panels[0], ("photograph", *found), strict=True):
        panel.set_title(title)
    for panel in panels.flat:
        panel.set_xticks([])
        panel.set_yticks([])
    figure.savefig(PICTURE, dpi=80, metadata={"Software": None})


def tables(figures: Mapping[str, Any]) -> dict[str, str]:
    """Return the table of docs/dcn.md, by its name, in Markdown."""
    told = figures["speed"]
    by = {(row["patches"], row["method"]): row["images_per_second"] for row in told["rows"]}
    fast = markdown(
        ("patches", "DCN", "k-means", "spectral", "DCN / spectral"),
        (
            [str(count), *(f"{by[count, name]:.1f}" for name in ("DCN", "k-means", "spectral")), f"{ratio:.1f}"]
            for count, ratio in ratios(told).items()
        ),
    )
    machine = f"Images per CPU second: {told['processor']}, one thread, torch {told['torch']}, width {told['width']}."
    near = around(told)
    where, times = (" and ".join(texts) for texts in (map(str, near), (f"{ratio:.0f}" for ratio in near.values())))
    published = f"Spectral clustering has the published {PUBLISHED} images per second nearest to {where} patches"
    return {"speed": f"{fast}\n\n{machine} {published}: there DCN is {times} times as fast."}


def main() -> None:
    """Measure what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_parts(parser, PARTS)
    parser.add_argument("--weights", type=Path, help="kept weights of a run of dcn_budget with DCN, for the picture")
    asked = parser.parse_args()
    parts = chosen_parts(asked.names, PARTS)
    torch.set_num_threads(1)
    if "picture" in parts:
        if asked.weights is None:
            parser.error("picture needs --weights FILE")
        try:
            picture(asked.weights)
        except InputError as error:
            parser.exit(2, f"error: {error}\n")
    if "speed" in parts:
        figures = {"speed": speed()}
        print(*rows(figures), sep="\n", flush=True)
        write_figures(FIGURES, figures)
    figures = read_figures(FIGURES)
    if figures and DOCUMENT.exists():
        fill(DOCUMENT, tables(figures))


if __name__ == "__main__":
    main()
