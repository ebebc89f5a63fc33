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
from suite.models.regions.backbone import Backbone, Features, read_backbone
from suite.models.regions.baselines import kmeans_regions, spectral_regions
from suite.models.regions.matching import IGNORED, Matched, confusion, matched
from suite.models.regions.network import ConceptGenerator
from suite.models.regions.partition import Partition, foreground, segment
from suite.models.regions.training import TrainingPlan, train
from suite.verdict.stats.gains import paired_gain

FIGURES = DOCS / "dcn_classes.json"


def features_of(photographs: Sequence[Annotated], backbone: Backbone) -> Features:
    """Compute the patch features of photographs, and the attention that patches get."""
    dataset = None if backbone.dataset is None else DATASETS[backbone.dataset]
    mean, std = (backbone.mean, backbone.std) if dataset is None else (dataset.mean, dataset.std)
    assert mean is not None  # of timm's models
    assert std is not None
    images = np.stack([photograph.square(backbone.image_size) for photograph in photographs])
    found = backbone.features(normalised(images, mean, std))
    return Features(found.patches.clone(), found.attention.clone())  # DCN trains on them


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


def consecutive(labels: Labels) -> Partition:
    """The regions of each photograph, numbered without gaps: a clustering may leave clusters empty."""
    numbered = [np.unique(own, return_inverse=True) for own in labels]
    found = np.stack([inverse.reshape(-1) for _, inverse in numbered]).astype(np.int64)
    return Partition(torch.from_numpy(found), torch.tensor([len(names) for names, _ in numbered]))


def classes_of(
    features: Tensor, labels: Tensor, background: Tensor | None, photographs: list[Annotated], classes: int, seed: int
) -> Matched:
    """Cluster the regions of all photographs, and match the clusters with classes.

    Args:
        features: of the patches, [photographs, patches, width].
        labels: the regions, [photographs, patches].
        background: which patches are background, bool [photographs, patches]: they are one cluster more, and their
            regions aren't clustered. None: all are.
        photographs: with their classes.
        classes: how many there are.
        seed: of k-means.
    """
    means, numbers = region_features(features, labels)
    kept = torch.ones(len(means), dtype=torch.bool)
    if background is not None:
        kept[numbers[background]] = False
    foreground_classes = classes if background is None else classes - 1
    of_region = np.full(len(means), classes - 1, dtype=np.int64)
    of_region[kept.numpy()] = KMeans(foreground_classes, n_init=10, random_state=seed).fit_predict(means[kept].numpy())
    counts = np.zeros((classes, classes), dtype=np.int64)
    for own, photograph in zip(of_region[numbers.numpy()], photographs, strict=True):
        truth = photograph.annotations[0]
        counts += confusion(enlarged(own, truth.shape), truth, (classes, classes))
    return matched(counts)


def compare(
    backbone: Backbone,
    folder: Path,
    *,
    seeds: int,
    starts: int,
    heads: int,
    plan: TrainingPlan,
    splits: tuple[str, str],
    background: bool,
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
        background: whether regions with little attention are background, as in the paper (and in VOC).
    """
    unlabelled, tested = (read_split(folder, split) for split in splits)
    given, (features, attention) = features_of(unlabelled, backbone).patches, features_of(tested, backbone)
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
            parted = consecutive(own)
            behind = ~foreground(parted, attention) if background else None
            of_starts = [
                100 * classes_of(features, parted.labels, behind, tested, classes, starts * seed + start).miou
                for start in range(starts)
            ]
            found.setdefault(name, []).append(float(np.mean(of_starts)))
        print(f"seed {seed}: {', '.join(f'{name} {values[-1]:.2f}' for name, values in found.items())}", flush=True)
    return {
        "miou": found, "classes": classes, "train": len(unlabelled), "test": len(tested), "backbone": backbone.name,
        "dataset": backbone.dataset, "image_size": backbone.image_size, "plan": vars(plan), "starts": starts,
        "background": background,
    }  # fmt: skip


def table(figures: Mapping[str, Any]) -> dict[str, str]:
    """Return the table of docs/dcn.md, by name, in Markdown."""
    found, plan = figures["miou"], figures["plan"]
    lines = []
    for name, values in found.items():
        gain = paired_gain([one - other for one, other in zip(found["DCN"], values, strict=True)])
        told = "" if name == "DCN" else f"{gain.mean:+.2f} [{gain.low:+.2f}, {gain.high:+.2f}]"
        lines.append([name, ", ".join(f"{value:.2f}" for value in values), f"{np.mean(values):.2f}", told])
    apart = " Background is separated by attention first." if figures.get("background") else ""
    text = (
        f"{figures['classes']} classes; a mean over {figures.get('starts', 1)} seeds of the k-means that clusters "
        f"regions; DCN trained on {figures['train']} photographs for {plan['steps']:,} steps of {plan['batch_size']}, "
        f"compared on {figures['test']}; features of `{figures['backbone']}`, trained on "
        f"{figures['dataset'] or 'timm’s data'}, of {figures['image_size']}×{figures['image_size']} pixels.{apart}"
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
    parser.add_argument("--starts", type=int, default=5, help="seeds of the k-means that clusters regions")
    parser.add_argument("--train", default="train", help="the list of photographs that train DCN")
    parser.add_argument("--test", default="test", help="the list that is compared, such as val of VOC 2012")
    parser.add_argument(
        "--background", action="store_true", help="regions with little attention are background, as in VOC"
    )
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
            splits=(asked.train, asked.test), background=asked.background,
        )  # fmt: skip
    except InputError as error:
        parser.exit(2, f"error: {error}\n")
    write_figures(FIGURES, figures)
    fill(DOCUMENT, table(figures))


if __name__ == "__main__":
    main()
