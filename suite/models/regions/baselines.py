"""Regions by clustering the features of each image: k-means and spectral clustering of scikit-learn."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import numpy.typing as npt
from sklearn.cluster import KMeans, SpectralClustering
from sklearn.exceptions import ConvergenceWarning
from torch import Tensor
from torch.nn.functional import normalize

Labels = npt.NDArray[np.int64]


def kmeans_regions(features: Tensor, clusters: int, seed: int = 0) -> Labels:
    """Cluster the patches of each image by k-means, the best of ten starts. Returns [images, patches].

    The features are scaled to length 1, so that k-means sees the cosines that DCN sees.

    Args:
        features: of the patches, [images, patches, width].
        clusters: k, at most the number of patches.
        seed: of the starts.
    """
    directions = normalize(features, dim=2).cpu().numpy()
    with _quiet():
        found = [KMeans(clusters, n_init=10, random_state=seed).fit_predict(image) for image in directions]
    return np.stack(found).astype(np.int64)


def spectral_regions(features: Tensor, clusters: int, seed: int = 0) -> Labels:
    """Cluster the patches of each image by spectral clustering. Returns [images, patches].

    The graph is that of DCN's loss, max(0, cos). All else is scikit-learn's default: the normalised Laplacian's first
    eigenvectors, clustered by k-means, the best of ten starts.

    Args:
        features: of the patches, [images, patches, width].
        clusters: the number of eigenvectors and of clusters.
        seed: of the eigenvectors' solver and of the starts.
    """
    directions = normalize(features.double(), dim=2)
    graphs = (directions @ directions.mT).clamp(min=0).cpu().numpy()
    with _quiet():
        found = [
            SpectralClustering(clusters, affinity="precomputed", random_state=seed).fit_predict(graph)
            for graph in graphs
        ]
    return np.stack(found).astype(np.int64)


@contextmanager
def _quiet() -> Iterator[None]:
    """Without the warnings of an image with fewer distinct features than clusters, or in several components.

    Both have a defined result: fewer regions, and regions of components.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        warnings.filterwarnings("ignore", message="Graph is not fully connected")
        yield
