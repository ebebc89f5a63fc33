"""Classes of regions by features alone, on a folder in VOC's layout, such as CamVid.

`python -m benchmarks.region_classes --data FOLDER --weights FILE` takes the regions of DCN, k-means and spectral
clustering on the same features, and gives them classes in two ways. Without labels: the features of the regions are
clustered by k-means over all test photographs, with as many clusters as classes, and clusters are matched with classes.
By retrieval: a region gets the class of the nearest regions of the training photographs. The figures are written to
docs/dcn_classes.json, and from them two tables of docs/dcn.md.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from benchmarks.documents import fill, markdown, write_figures
from benchmarks.region_classifiers import Labelled, clustered, counts_of, front_regions, retrieved_miou
from benchmarks.region_features import (
    FEATURES,
    Split,
    crop_features,
    features_of,
    mean_features,
    read_split,
    region_numbers,
)
from benchmarks.regions import CLUSTERS, DOCS, DOCUMENT, Labels
from suite.data.bsds500 import Annotated
from suite.errors import InputError
from suite.models.regions.backbone import Backbone, read_backbone
from suite.models.regions.baselines import kmeans_regions, spectral_regions
from suite.models.regions.matching import IGNORED, matched
from suite.models.regions.network import ConceptGenerator
from suite.models.regions.partition import Partition, foreground, segment
from suite.models.regions.training import TrainingPlan, train
from suite.verdict.stats.gains import paired_gain

FIGURES = DOCS / "dcn_classes.json"
NEIGHBOURS = (1, 5)  # of retrieval, published
_BACKGROUNDS = {"no": (False,), "yes": (True,), "both": (False, True)}
CLUSTERED = "k-means"  # how a region gets its class; "1-NN" is retrieval


def consecutive(labels: Labels) -> Partition:
    """The regions of each photograph, numbered without gaps: a clustering may leave clusters empty."""
    numbered = [np.unique(own, return_inverse=True) for own in labels]
    found = np.stack([inverse.reshape(-1) for _, inverse in numbered]).astype(np.int64)
    return Partition(torch.from_numpy(found), torch.tensor([len(names) for names, _ in numbered]))


class Regions(NamedTuple):
    """The regions of a list's photographs by one method, with features by name.

    Attributes:
        numbers: the region of each patch, [photographs, patches].
        front: which regions are foreground by attention, [regions].
        features: of the regions, by `FEATURES`.
    """

    numbers: Tensor
    front: Tensor
    features: Mapping[str, Tensor]


def regions_of(labels: Labels, split: Split, backbone: Backbone, features: Iterable[str]) -> Regions:
    """Compute the features of regions, and which regions are foreground. labels: [photographs, patches]."""
    regions = consecutive(labels)
    compute = {
        "mean": lambda: mean_features(split.features.patches, regions),
        "crop": lambda: crop_features(split.photographs, regions, backbone),
    }
    numbers = region_numbers(regions)
    front = front_regions(numbers, ~foreground(regions, split.features.attention))
    return Regions(numbers, front, {name: compute[name]() for name in features})


def scores(
    known: tuple[Regions, Sequence[Annotated]],
    tested: tuple[Regions, Sequence[Annotated]],
    *,
    classes: int,
    seeds: Sequence[int],
    background: bool,
) -> Iterator[tuple[str, str, float]]:
    """Yield the feature, how regions get their class, and the mIoU in percent.

    Args:
        known: regions of photographs whose classes may be seen by retrieval.
        tested: regions of those that are compared.
        classes: how many there are.
        seeds: of the k-means that clusters regions: its mIoU is the mean over them.
        background: whether regions with little attention are background, as in the paper (and in VOC).
    """
    (labelled, labelled_photographs), (regions, photographs) = known, tested
    fronts = [one.front if background else torch.ones_like(one.front) for one in (labelled, regions)]
    shape = (classes, classes)
    for name, features in regions.features.items():
        of_seeds = [
            100
            * matched(
                counts_of(clustered(features, fronts[1], classes, seed), regions.numbers, photographs, shape)
            ).miou
            for seed in seeds
        ]
        yield name, CLUSTERED, float(np.mean(of_seeds))
        library = Labelled(labelled.features[name], labelled.numbers, fronts[0], labelled_photographs, classes)
        for neighbours in NEIGHBOURS:
            given = library.classes_of(features, fronts[1], neighbours)
            yield name, f"{neighbours}-NN", retrieved_miou(counts_of(given, regions.numbers, photographs, shape))


def compare(
    backbone: Backbone,
    folder: Path,
    *,
    seeds: int,
    starts: int,
    heads: int,
    plan: TrainingPlan,
    splits: tuple[str, str],
    features: Sequence[str],
    backgrounds: Sequence[bool],
) -> dict[str, Any]:
    """Train DCN on the photographs of one split, and compare the methods on another, seed by seed.

    Args:
        backbone: gives the features.
        folder: in VOC's layout.
        seeds: of DCN's training and of both baselines.
        starts: seeds of the k-means that clusters regions, for each of `seeds`; the mIoU is a mean over them.
        heads: of DCN's attention.
        plan: of DCN's training.
        splits: the list that trains DCN, and the one that is compared.
        features: of a region, from `FEATURES`.
        backgrounds: whether regions with little attention are background: each of these.
    """
    known, tested = (
        Split(found, features_of(found, backbone)) for found in (read_split(folder, one) for one in splits)
    )
    patches = known.features.patches
    masks = [mask for split in (known, tested) for image in split.photographs for mask in image.annotations]
    classes = 1 + max(int(mask[mask != IGNORED].max(initial=0)) for mask in masks)
    found: dict[tuple[str, bool, str, str], list[float]] = {}
    for seed in range(seeds):
        torch.manual_seed(seed)
        network = ConceptGenerator(patches.shape[2], heads=heads)
        train(network, patches, plan, seed)
        methods: dict[str, Callable[[Tensor], Labels]] = {
            "DCN": lambda own, network=network: segment(network, own).labels.numpy(),  # type: ignore[misc]
            f"k-means, k = {CLUSTERS}": lambda own, seed=seed: kmeans_regions(own, CLUSTERS, seed),  # type: ignore[misc]
            f"spectral, k = {CLUSTERS}": lambda own, seed=seed: spectral_regions(own, CLUSTERS, seed),  # type: ignore[misc]
        }
        for method, group in methods.items():
            regions = [regions_of(group(one.features.patches), one, backbone, features) for one in (known, tested)]
            for background in backgrounds:
                of_seed = scores(
                    (regions[0], known.photographs), (regions[1], tested.photographs), classes=classes,
                    seeds=range(starts * seed, starts * (seed + 1)), background=background,
                )  # fmt: skip
                for feature, way, miou in of_seed:
                    found.setdefault((feature, background, way, method), []).append(miou)
        print(f"{seed + 1} of {seeds} seeds done", flush=True)
    heads_of_rows = ("features", "background", "classes_by", "method")
    rows = [{**dict(zip(heads_of_rows, key, strict=True)), "miou": values} for key, values in found.items()]
    return {
        "rows": rows, "classes": classes, "train": len(known.photographs), "test": len(tested.photographs),
        "backbone": backbone.name, "dataset": backbone.dataset, "image_size": backbone.image_size, "plan": vars(plan),
        "starts": starts,
    }  # fmt: skip


def tables(figures: Mapping[str, Any]) -> dict[str, str]:
    """Return the tables of docs/dcn.md, by name, in Markdown."""
    ways = dict.fromkeys(row["classes_by"] for row in figures["rows"])
    plan = figures["plan"]
    text = (
        f"{figures['classes']} classes; DCN trained on {figures['train']} photographs for {plan['steps']:,} steps of "
        f"{plan['batch_size']}, compared on {figures['test']}; features of `{figures['backbone']}`, trained on "
        f"{figures['dataset'] or 'timm’s data'}, of {figures['image_size']}×{figures['image_size']} pixels. "
    )
    notes = {
        "classes": f"A mean over {figures['starts']} seeds of the k-means that clusters regions.",
        "retrieval": f"The labelled regions are those of the {figures['train']} photographs, by the same method.",
    }
    of_table = {"classes": [CLUSTERED], "retrieval": [way for way in ways if way != CLUSTERED]}
    return {name: f"{_table(figures['rows'], of_table[name])}\n\n{text}{note}" for name, note in notes.items()}


def _table(rows: Sequence[Mapping[str, Any]], ways: Sequence[str]) -> str:
    """Format the rows of some ways to give classes, with a sentence of how many intervals exclude zero."""
    settings = ("classes_by", "features", "background")
    groups: dict[tuple[Any, ...], list[Mapping[str, Any]]] = {}
    for row in rows:
        if row["classes_by"] in ways:
            groups.setdefault(tuple(row[key] for key in settings), []).append(row)
    lines, gains = [], []
    for (way, feature, background), group in sorted(groups.items(), key=lambda item: ways.index(item[0][0])):
        ours = next(row["miou"] for row in group if row["method"] == "DCN")
        for row in group:
            told = ""
            if row["method"] != "DCN":
                gain = paired_gain([one - other for one, other in zip(ours, row["miou"], strict=True)])
                gains.append(gain)
                told = f"{gain.mean:+.2f} [{gain.low:+.2f}, {gain.high:+.2f}]"
            each, apart = ", ".join(f"{value:.2f}" for value in row["miou"]), "by attention" if background else "no"
            lines.append([way, feature, apart, row["method"], each, f"{np.mean(row['miou']):.2f}", told])
    heads = (
        "classes by", "feature", "background apart", "regions of", "mIoU (%) of each seed", "mean",
        "DCN less this, paired over seeds",
    )  # fmt: skip
    sure = sum(gain.low > 0 or gain.high < 0 for gain in gains)
    text = f"Of {len(gains)} intervals of 95 %, {sure} exclude zero, without correction for their number."
    return f"{markdown(heads, lines)}\n\n{text}"


def main() -> None:
    """Compare what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="a folder in VOC's layout")
    parser.add_argument("--weights", type=Path, help="weights of `lape run --keep-weights`, or of --model")
    parser.add_argument("--model", help="timm's name of the model")
    parser.add_argument("--image-size", type=int, default=64)
    parser.add_argument("--heads", type=int, default=4)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--starts", type=int, default=5, help="seeds of the k-means that clusters regions")
    parser.add_argument("--train", default="train", help="the list of photographs that train DCN")
    parser.add_argument("--test", default="test", help="the list that is compared, such as val of VOC 2012")
    parser.add_argument(
        "--features", nargs="+", choices=FEATURES, default=["mean"],
        help="the feature of a region: the mean over its patches, or that of its crop",
    )  # fmt: skip
    parser.add_argument(
        "--background", nargs="?", choices=_BACKGROUNDS, default="no", const="yes",
        help="whether regions with little attention are background, as in VOC",
    )  # fmt: skip
    parser.add_argument("--steps", type=int, default=TrainingPlan.steps)
    parser.add_argument("--batch-size", type=int, default=TrainingPlan.batch_size)
    asked = parser.parse_args()
    if min(asked.seeds, asked.starts, asked.steps, asked.batch_size, asked.image_size, asked.heads) < 1:
        parser.error("numbers must be positive")
    torch.set_num_threads(1)
    plan = TrainingPlan(asked.steps, asked.batch_size)
    try:
        backbone = read_backbone(asked.weights, asked.model, asked.image_size)
        figures = compare(
            backbone, asked.data, seeds=asked.seeds, starts=asked.starts, heads=asked.heads, plan=plan,
            splits=(asked.train, asked.test), features=list(dict.fromkeys(asked.features)),
            backgrounds=_BACKGROUNDS[asked.background],
        )  # fmt: skip
    except InputError as error:
        parser.exit(2, f"error: {error}\n")
    write_figures(FIGURES, figures)
    fill(DOCUMENT, tables(figures))


if __name__ == "__main__":
    main()
