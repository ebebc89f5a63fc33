"""Classes of regions without labels: Hungarian mIoU on a folder in VOC's layout, such as CamVid.

`python -m benchmarks.region_classes --data FOLDER --weights FILE` takes the regions of DCN, k-means and spectral
clustering on the same features. The mean feature of each region is clustered by k-means over all test photographs, with
as many clusters as classes. Clusters are matched with classes. The figures are written to docs/dcn_classes.json, and
from them a table of docs/dcn.md.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sklearn.cluster import KMeans
from torch import Tensor
from torch.nn.functional import normalize, one_hot

from benchmarks.documents import fill, markdown, write_figures
from benchmarks.regions import CLUSTERS, DOCS, DOCUMENT, Labels, enlarged, normalised
from suite.data.bsds500 import Annotated
from suite.data.datasets import DATASETS
from suite.data.decode import open_image
from suite.errors import InputError
from suite.models.regions.backbone import Backbone, read_backbone
from suite.models.regions.baselines import kmeans_regions, spectral_regions
from suite.models.regions.matching import IGNORED, Matched, confusion, matched
from suite.models.regions.network import ConceptGenerator
from suite.models.regions.partition import segment
from suite.models.regions.training import TrainingPlan, train
from suite.verdict.stats.gains import paired_gain

FIGURES = DOCS / "dcn_classes.json"


def patch_features(photographs: Sequence[Annotated], backbone: Backbone) -> Tensor:
    """Compute the patch features of photographs, [photographs, patches, width]."""
    dataset = None if backbone.dataset is None else DATASETS[backbone.dataset]
    mean, std = (backbone.mean, backbone.std) if dataset is None else (dataset.mean, dataset.std)
    assert mean is not None  # of timm's models
    assert std is not None
    images = np.stack([photograph.square(backbone.image_size) for photograph in photographs])
    return backbone.features(normalised(images, mean, std)).patches.clone()  # a clone: DCN trains on them


def read_split(folder: Path, split: str) -> list[Annotated]:
    """Read the photographs and class masks of a split in VOC's layout. Masks are palette images.

    Raises:
        InputError: the list, a photograph or a mask is missing, or a mask has another size than its photograph.
    """
    path = folder / "ImageSets" / "Segmentation" / f"{split}.txt"
    names = path.read_text(encoding="utf-8").split() if path.is_file() else []
    if not names:
        raise _wrong("names of photographs, one a line", "none", path)
    found = []
    for name in names:
        photograph, mask = folder / "JPEGImages" / f"{name}.jpg", folder / "SegmentationClass" / f"{name}.png"
        for file in (photograph, mask):
            if not file.is_file():
                raise _wrong(f"the files of {name}, which {split}.txt names", "nothing", file)
        with open_image(mask) as drawn, open_image(photograph) as image:
            if drawn.mode not in ("P", "L") or drawn.size != image.size:
                raise _wrong(f"a palette image of {image.size} pixels", f"{drawn.mode} of {drawn.size} pixels", mask)
            found.append(Annotated(name, photograph, (np.asarray(drawn).astype(np.uint16),)))
    return found


def _wrong(expected: str, found: str, where: Path) -> InputError:
    return InputError(
        "this folder isn't in VOC's layout", expected=expected, found=found, where=str(where), fix="give another folder"
    )


def region_features(features: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """Average the features over each region of each photograph.

    Args:
        features: of the patches, [photographs, patches, width]; they are scaled to length 1 first.
        labels: the regions, [photographs, patches].

    Returns:
        The means, [regions, width], and the number of each patch's region among them, [photographs, patches].
    """
    members = one_hot(labels).to(features.dtype)  # [photographs, patches, most regions]
    sizes = members.sum(dim=1)
    means = (members.mT @ normalize(features, dim=2)) / sizes.clamp(min=1)[:, :, None]
    present = sizes > 0
    numbers = (present.flatten().cumsum(0) - 1).view_as(present)
    return means[present], numbers.gather(1, labels)


def classes_of(features: Tensor, labels: Tensor, photographs: list[Annotated], classes: int, seed: int) -> Matched:
    """Cluster the regions of all photographs, and match the clusters with classes."""
    means, numbers = region_features(features, labels)
    clusters = KMeans(classes, n_init=10, random_state=seed).fit_predict(means.numpy())[numbers.numpy()]
    counts = np.zeros((classes, classes), dtype=np.int64)
    for own, photograph in zip(clusters.astype(np.int64), photographs, strict=True):
        truth = photograph.annotations[0]
        counts += confusion(enlarged(own, truth.shape), truth, (classes, classes))
    return matched(counts)


def compare(
    backbone: Backbone, folder: Path, *, seeds: int, heads: int, plan: TrainingPlan, splits: tuple[str, str]
) -> dict[str, Any]:
    """Train DCN on the photographs of one split, and compare the methods on another, seed by seed."""
    unlabelled, tested = (read_split(folder, split) for split in splits)
    given, features = patch_features(unlabelled, backbone), patch_features(tested, backbone)
    classes = 1 + max(int(mask[mask != IGNORED].max(initial=0)) for image in tested for mask in image.annotations)
    found: dict[str, list[float]] = {}
    for seed in range(seeds):
        torch.manual_seed(seed)
        network = ConceptGenerator(given.shape[2], heads=heads)
        train(network, given, plan, seed)
        labels: dict[str, Labels] = {
            "DCN": segment(network, features).labels.numpy(),
            f"k-means, k = {CLUSTERS}": kmeans_regions(features, CLUSTERS, seed),
            f"spectral, k = {CLUSTERS}": spectral_regions(features, CLUSTERS, seed),
        }
        for name, own in labels.items():
            told = classes_of(features, torch.from_numpy(own.copy()), tested, classes, seed)
            found.setdefault(name, []).append(100 * told.miou)
        print(f"seed {seed}: {', '.join(f'{name} {values[-1]:.2f}' for name, values in found.items())}", flush=True)
    return {
        "miou": found, "classes": classes, "train": len(unlabelled), "test": len(tested), "backbone": backbone.name,
        "dataset": backbone.dataset, "image_size": backbone.image_size, "plan": vars(plan),
    }  # fmt: skip


def table(figures: Mapping[str, Any]) -> dict[str, str]:
    """Return the table of docs/dcn.md, by name, in Markdown."""
    found, plan = figures["miou"], figures["plan"]
    lines = []
    for name, values in found.items():
        gain = paired_gain([one - other for one, other in zip(found["DCN"], values, strict=True)])
        told = "" if name == "DCN" else f"{gain.mean:+.2f} [{gain.low:+.2f}, {gain.high:+.2f}]"
        lines.append([name, ", ".join(f"{value:.2f}" for value in values), f"{np.mean(values):.2f}", told])
    text = (
        f"{figures['classes']} classes; DCN trained on {figures['train']} photographs for {plan['steps']:,} steps of "
        f"{plan['batch_size']}, compared on {figures['test']}; features of `{figures['backbone']}`, trained on "
        f"{figures['dataset'] or 'timm’s data'}, of {figures['image_size']}×{figures['image_size']} pixels."
    )
    heads = ("regions of", "mIoU (%) of each seed", "mean", "DCN less this, paired over seeds")
    return {"classes": f"{markdown(heads, lines)}\n\n{text}"}


def main() -> None:
    """Compare what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="a folder in VOC's layout")
    parser.add_argument("--weights", type=Path, help="weights of `lape run --keep-weights`, or of --model")
    parser.add_argument("--model", help="timm's name of the model")
    parser.add_argument("--image-size", type=int, default=64)
    parser.add_argument("--heads", type=int, default=4)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=TrainingPlan.steps)
    parser.add_argument("--batch-size", type=int, default=TrainingPlan.batch_size)
    asked = parser.parse_args()
    if min(asked.seeds, asked.steps, asked.batch_size, asked.image_size, asked.heads) < 1:
        parser.error("numbers must be positive")
    torch.set_num_threads(1)
    plan = TrainingPlan(asked.steps, asked.batch_size)
    try:
        backbone = read_backbone(asked.weights, asked.model, asked.image_size)
        figures = compare(
            backbone, asked.data, seeds=asked.seeds, heads=asked.heads, plan=plan, splits=("train", "test")
        )
    except InputError as error:
        parser.exit(2, f"error: {error}\n")
    write_figures(FIGURES, figures)
    fill(DOCUMENT, table(figures))


if __name__ == "__main__":
    main()
