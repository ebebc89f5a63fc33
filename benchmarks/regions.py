"""Compares DCN with k-means and spectral clustering on the same patch features. `python -m benchmarks.regions --help`.

speed: images per CPU second of one thread, on features of random communities. The methods take turns, in an order that
is reversed every round, so other programs disturb the ratios little.

measures: covering, Rand index and variation of information on BSDS500 (`--data FOLDER`), with the features of any
vision transformer (`--weights`, `--model`). DCN is trained on the photographs of one split, without annotations, and
all methods are compared on another. Differences are paired over photographs and seeds.

picture: the regions of scikit-learn's two sample photographs, by the network that `measures` trained last.

The figures are written to docs/dcn.json, and from them the tables of docs/dcn.md.
"""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]  # of scikit-learn's own dependencies
from torch import Tensor

from benchmarks.documents import add_parts, chosen_parts, fill, markdown, read_figures, write_figures
from benchmarks.rows import Row
from suite.data.bsds500 import Annotated, read_bsds500
from suite.data.datasets import DATASETS
from suite.errors import InputError
from suite.models.regions.backbone import Backbone, read_backbone
from suite.models.regions.baselines import kmeans_regions, spectral_regions
from suite.models.regions.measures import Agreement, agreement
from suite.models.regions.network import ConceptGenerator
from suite.models.regions.partition import segment
from suite.models.regions.training import TrainingPlan, train
from suite.store.environment import processor
from suite.verdict.stats.crossed import CrossedInterval, crossed_interval

DOCS = Path(__file__).resolve().parents[1] / "docs"
FIGURES, DOCUMENT, PICTURE = DOCS / "dcn.json", DOCS / "dcn.md", DOCS / "dcn.png"
PARTS = ("speed", "measures", "picture")
Labels = npt.NDArray[np.int64]
Values = npt.NDArray[np.float64]

CLUSTERS = 5  # of DCN's prototypes, published, and of the clusters of both baselines
LEAST = 10.0  # times as many images per second as spectral clustering, of the largest images
WIDTH, ROUNDS = 384, 3  # ViT-S
IMAGES = {14: 32, 28: 16, 56: 4}  # images of a round, by patches a side: 224 pixels in patches of 16 or 8, and 448 of 8
UNITS = {"covering": 1e-4, "rand": 1e-4, "variation": 1e-3}  # of the whole numbers that `crossed_interval` takes
NAMES = {"covering": "covering", "rand": "PRI", "variation": "VoI (bits)"}


class Setting(NamedTuple):
    """What `measures` compares.

    Attributes:
        data: the folder of BSDS500.
        train: the split whose photographs train DCN.
        test: the split that is compared.
        seeds: the number of seeds.
        heads: of DCN's attention.
        plan: of DCN's training.
    """

    data: Path
    train: str
    test: str
    seeds: int
    heads: int
    plan: TrainingPlan


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
        seconds: dict[str, list[float]] = {name: [] for name in methods}
        with threadpool_limits(1):
            for number in range(ROUNDS + 1):
                for name in list(methods)[:: 1 if number % 2 else -1]:
                    began = time.process_time()
                    methods[name]()
                    if number:  # the first round is a warm-up
                        seconds[name].append(time.process_time() - began)
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
    """Return the speed of DCN on the largest images beside its bound. Few patches are soon clustered: there is none."""
    count, ratio = max(ratios(figures["speed"]).items())
    return [Row(f"DCN / spectral clustering, {count} patches", ratio, math.inf, LEAST, " ×")]


def normalised(images: npt.NDArray[np.uint8], backbone: Backbone) -> Tensor:
    """Map images [images, side, side, 3] to what the backbone takes, [images, 3, side, side]."""
    dataset = None if backbone.dataset is None else DATASETS[backbone.dataset]
    mean, std = (backbone.mean, backbone.std) if dataset is None else (dataset.mean, dataset.std)
    scaled = (torch.from_numpy(images).float() / 255 - torch.tensor(mean)) / torch.tensor(std)
    return scaled.permute(0, 3, 1, 2).contiguous()


def patch_features(photographs: list[Annotated], backbone: Backbone) -> Tensor:
    """Compute the patch features of photographs, [photographs, patches, width]."""
    images = np.stack([photograph.square(backbone.image_size) for photograph in photographs])
    return backbone.features(normalised(images, backbone)).patches.clone()  # a clone: DCN trains on them


def enlarged(labels: Labels, shape: tuple[int, ...]) -> Labels:
    """Map the labels of a square grid of patches, [patches], to pixels [height, width], each by its patch."""
    side = round(len(labels) ** 0.5)
    rows, columns = (((np.arange(length) + 0.5) * side / length).astype(int) for length in shape)
    return labels.reshape(side, side)[np.ix_(rows, columns)]


def agreements(labels: Labels, photographs: list[Annotated]) -> Values:
    """Compute the measures of `Agreement` for each photograph, [measures, photographs]."""
    found = [
        agreement(enlarged(own, photograph.annotations[0].shape), photograph.annotations)
        for own, photograph in zip(labels, photographs, strict=True)
    ]
    return np.array(found, dtype=np.float64).T


def difference(first: Values, second: Values, unit: float) -> CrossedInterval:
    """Return the mean difference of [seeds, photographs], with its interval over both, in the measure's own scale.

    `crossed_interval` takes whole numbers, so differences are rounded to the unit, and gives percent.
    """
    whole = np.rint((first - second) / unit).astype(np.int16)
    found = crossed_interval(whole, copies=round(1 / unit))
    values = {name: getattr(found, name) / 100 for name in ("mean", "sd", "se_images", "low", "high", "floor")}
    return CrossedInterval(found.pairs, found.images, **values, p_below_floor=found.p_below_floor)


def measures(backbone: Backbone, setting: Setting) -> tuple[dict[str, Any], ConceptGenerator]:
    """Compare the methods on a split of BSDS500. Returns the figures, and the network of the last seed."""
    unlabelled, tested = (read_bsds500(setting.data, split) for split in (setting.train, setting.test))
    given, features = patch_features(unlabelled, backbone), patch_features(tested, backbone)
    if features.shape[1] < CLUSTERS:
        raise InputError(
            "an image has fewer patches than there are clusters",
            expected=f"at least {CLUSTERS} patches",
            found=f"{features.shape[1]} patches of images of {backbone.image_size} pixels a side",
            where="--image-size",
            fix="give a larger size",
        )
    by_method: dict[str, list[Values]] = {}
    counts, losses = [], []
    for seed in range(setting.seeds):
        torch.manual_seed(seed)
        network = ConceptGenerator(given.shape[2], heads=setting.heads)
        losses.append(float(np.mean(train(network, given, setting.plan, seed)[-50:])))
        parted = segment(network, features)
        counts.append(float(parted.counts.float().mean()))
        print(f"seed {seed}: loss {losses[-1]:.4f}, {counts[-1]:.2f} regions", flush=True)
        by_method.setdefault("DCN", []).append(agreements(parted.labels.numpy(), tested))
    fewer = max(1, round(float(np.mean(counts))))
    for seed in range(setting.seeds):
        for clusters in sorted({CLUSTERS, fewer}):
            for name, method in (("k-means", kmeans_regions), ("spectral", spectral_regions)):
                found = agreements(method(features, clusters, seed), tested)
                by_method.setdefault(f"{name}, k = {clusters}", []).append(found)
    single = agreements(np.zeros(features.shape[:2], dtype=np.int64), tested)
    by_method["one region"] = [single] * setting.seeds
    values = {name: np.stack(found) for name, found in by_method.items()}  # [seeds, measures, photographs]
    compared = []
    for name, found in values.items():
        for place, measure in enumerate(Agreement._fields):
            row: dict[str, Any] = {"method": name, "measure": measure, "mean": float(found[:, place].mean())}
            if name != "DCN":
                told = difference(values["DCN"][:, place], found[:, place], UNITS[measure])
                row |= {"difference": told.mean, "low": told.low, "high": told.high}
            compared.append(row)
    facts = {
        "backbone": backbone.name, "dataset": backbone.dataset, "image_size": backbone.image_size,
        "patches": features.shape[1], "width": features.shape[2], "train": len(unlabelled), "test": len(tested),
        "seeds": setting.seeds, "heads": setting.heads, "plan": vars(setting.plan), "losses": losses, "regions": counts,
    }  # fmt: skip
    return {"rows": compared, **facts}, network


def picture(backbone: Backbone, network: ConceptGenerator) -> None:
    """Draw scikit-learn's sample photographs and their regions by each method."""
    from matplotlib.figure import Figure
    from PIL import Image
    from sklearn.datasets import load_sample_images

    whole, size = load_sample_images().images, (backbone.image_size, backbone.image_size)
    small = [np.asarray(Image.fromarray(image).resize(size, Image.Resampling.BICUBIC)) for image in whole]
    features = backbone.features(normalised(np.stack(small), backbone)).patches
    found = {
        "DCN": segment(network, features).labels.numpy(),
        f"k-means, k = {CLUSTERS}": kmeans_regions(features, CLUSTERS),
        f"spectral, k = {CLUSTERS}": spectral_regions(features, CLUSTERS),
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
    """Return the tables of docs/dcn.md, by name, in Markdown."""
    told, found = figures["speed"], figures["measures"]
    by = {(row["patches"], row["method"]): row["images_per_second"] for row in told["rows"]}
    fast = markdown(
        ("patches", "DCN", "k-means", "spectral", "DCN / spectral"),
        (
            [str(count), *(f"{by[count, name]:.1f}" for name in ("DCN", "k-means", "spectral")), f"{ratio:.1f}"]
            for count, ratio in ratios(told).items()
        ),
    )
    machine = f"Images per CPU second: {told['processor']}, one thread, torch {told['torch']}, width {told['width']}."
    lines = []
    for name in dict.fromkeys(row["method"] for row in found["rows"]):
        own = {row["measure"]: row for row in found["rows"] if row["method"] == name}
        lines.append([name, *(_cell(own[measure]) for measure in NAMES)])
    heads = ("method", *(f"{name}; DCN less this" for name in NAMES.values()))
    plan, seeds = found["plan"], found["seeds"]
    how = (
        f"Features: `{found['backbone']}`, trained on {found['dataset'] or 'timm’s data'}; images of "
        f"{found['image_size']}×{found['image_size']} pixels, {found['patches']} patches, width {found['width']}. DCN: "
        f"{seeds} seeds, {found['heads']} heads, {plan['steps']:,} steps of {plan['batch_size']} images, AdamW "
        f"{plan['lr']:g}, weight decay {plan['weight_decay']:g}, on {found['train']} photographs. Compared on "
        f"{found['test']}. DCN's regions per photograph, by seed: "
        f"{', '.join(f'{count:.2f}' for count in found['regions'])}; its loss in the last 50 steps: "
        f"{', '.join(f'{loss:.4f}' for loss in found['losses'])}."
    )
    return {"speed": f"{fast}\n\n{machine}", "measures": f"{markdown(heads, lines)}\n\n{how}"}


def _cell(row: Mapping[str, Any]) -> str:
    mean = f"{row['mean']:.3f}"
    if "difference" not in row:
        return mean
    return f"{mean}; {row['difference']:+.3f} [{row['low']:+.3f}, {row['high']:+.3f}]"


def main() -> None:
    """Measure what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_parts(parser, PARTS)
    parser.add_argument("--data", type=Path, help="the folder of BSDS500 that holds images/ and groundTruth/")
    parser.add_argument("--weights", type=Path, help="weights of `lape run --keep-weights`, or of --model")
    parser.add_argument("--model", help="timm's name of the model, such as vit_small_patch16_224.dino")
    parser.add_argument("--image-size", type=int, default=64, help="pixels a side of the images")
    parser.add_argument("--train", default="val", help="the split whose photographs train DCN")
    parser.add_argument("--test", default="test", help="the split that is compared")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--heads", type=int, default=4)
    parser.add_argument("--steps", type=int, default=TrainingPlan.steps)
    parser.add_argument("--batch-size", type=int, default=TrainingPlan.batch_size)
    parser.add_argument("--lr", type=float, default=TrainingPlan.lr)
    asked = parser.parse_args()
    parts = chosen_parts(asked.names, PARTS)
    torch.set_num_threads(1)
    figures: dict[str, Any] = {}
    if "speed" in parts:
        figures["speed"] = speed()
        print(*rows(figures), sep="\n", flush=True)
    if "measures" in parts:
        if asked.data is None:
            parser.error("measures needs --data FOLDER")
        if min(asked.seeds, asked.steps, asked.batch_size, asked.image_size, asked.heads) < 1 or asked.lr <= 0:
            parser.error("numbers must be positive")
        plan = TrainingPlan(asked.steps, asked.batch_size, asked.lr)
        setting = Setting(asked.data, asked.train, asked.test, asked.seeds, asked.heads, plan)
        try:
            backbone = read_backbone(asked.weights, asked.model, asked.image_size)
            figures["measures"], network = measures(backbone, setting)
        except InputError as error:
            parser.exit(2, f"error: {error}\n")
        if "picture" in parts:
            picture(backbone, network)
    elif "picture" in parts:
        parser.error("picture needs the network of measures: name both")
    figures = {**read_figures(FIGURES), **figures}
    write_figures(FIGURES, figures)
    if {"speed", "measures"} <= figures.keys() and DOCUMENT.exists():
        fill(DOCUMENT, tables(figures))


if __name__ == "__main__":
    main()
