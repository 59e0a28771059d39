"""Points in a plane by scikit-learn's t-SNE."""

from __future__ import annotations

import numpy as np
from threadpoolctl import threadpool_limits

from dlhw.experiments.trajectory.spec import Array
from dlhw.measure.principal_components import pca

DIMENSIONS = 50
"""Dimensions to which principal components reduce the points first, as scikit-learn advises."""
EXACT_POINTS = 500
"""Up to so many points all pairs are computed; beyond, that takes longer than Barnes and Hut's approximation."""


def embed(points: Array, perplexity: float, seed: int) -> Array:
    """Place points in a plane by t-SNE (van der Maaten and Hinton 2008), which tries to keep near neighbours near.

    Args:
        points: (n, P).
        perplexity: about the number of neighbours of a point, below n.
        seed: of scikit-learn's random state.

    Returns:
        Coordinates, (n, 2). The same machine gives the same bytes.
    """
    from sklearn.manifold import TSNE

    reduced = pca(points, min(DIMENSIONS, len(points))).coordinates(points)
    if reduced.shape[1] < 2:  # t-SNE starts from two components
        reduced = np.pad(reduced, ((0, 0), (0, 2 - reduced.shape[1])))
    method = "exact" if len(points) <= EXACT_POINTS else "barnes_hut"
    with threadpool_limits(1):  # several threads add their sums in any order
        tsne = TSNE(perplexity=perplexity, init="pca", method=method, random_state=seed)
        return np.asarray(tsne.fit_transform(reduced), np.float32)
