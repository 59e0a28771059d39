"""Principal components of the path of the weights."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dlhw.errors import check_numbers, require
from dlhw.measure.results import Saved

Array = NDArray[np.floating]


@dataclass(frozen=True)
class PCA(Saved):
    """Principal components of n points in P dimensions."""

    components: Array  # (k, P) orthonormal rows; the entry of largest magnitude of each is positive
    explained: Array  # (n - 1 or fewer,) share of the variance of every component; they add up to 1
    mean: Array  # (P,)

    def coordinates(self, points: Array, origin: Array | None = None) -> Array:
        """Project points onto the components.

        Args:
            points: (n, P).
            origin: (P,); default: the mean.

        Returns:
            (points - origin) components^T, (n, k).
        """
        return (points - (self.mean if origin is None else origin)) @ self.components.T


@check_numbers
def pca(points: Array, components: int = 2) -> PCA:
    """Return the principal components of points about their mean, by scikit-learn's exact singular value decomposition.

    The sign of a component is arbitrary; it is chosen so that its entry of largest magnitude is positive. Components of
    (nearly) equal variance are arbitrary up to a rotation, which no convention removes: look at `explained`.

    Args:
        points: (n, P).
        components: how many components are returned.

    Returns:
        The components; `explained` is nan for points that are all equal, which have no direction.

    Raises:
        UserError: for fewer than two points, and points that are not finite.

    Example:
        >>> import numpy as np
        >>> from dlhw import measure
        >>> measure.pca(np.array([[0.0, 0], [1, 2], [2, 4]])).explained.round(6).tolist()
        [1.0, 0.0]
    """
    points = np.asarray(points)
    require(len(points) >= 2, f"principal components need at least two points, not {len(points)}")
    require(bool(np.isfinite(points).all()), "principal components need finite points")
    from sklearn.decomposition import PCA as Exact  # noqa: N811

    wide = np.asarray(points, np.float64)
    count = min(len(points) - 1, points.shape[1])
    with np.errstate(invalid="ignore"):  # no variance at all: 0 / 0
        fitted = Exact(n_components=count, svd_solver="full").fit(wide)
    rows = fitted.components_[:components]
    top = np.abs(rows).argmax(axis=1)
    rows = rows * np.sign(rows[np.arange(len(rows)), top])[:, None]
    explained = fitted.explained_variance_ratio_ if fitted.explained_variance_.any() else np.full(count, np.nan)
    return PCA(rows, explained, fitted.mean_)


@check_numbers
def random_walk_shares(points: int) -> Array:
    """Return the fractions of variance along the principal components of a random walk in many dimensions.

    The fraction of component k is proportional to 1 / sin^2(pi k / 2n) for n points about their mean, which tends to
    6/(pi k)^2 for long walks (Antognini and Sohl-Dickstein 2018, PCA of high dimensional random walks). A path without
    any direction thus has 61 % and 15 %, so that large fractions of two components alone show nothing.

    Args:
        points: number of points of the walk, n.

    Returns:
        (n - 1,), which add up to 1.

    Raises:
        UserError: for fewer than two points.

    Example:
        >>> from dlhw import measure
        >>> measure.random_walk_shares(1000)[:2].round(2).tolist()
        [0.61, 0.15]
    """
    require(points >= 2, f"a walk needs at least two points, not {points}")
    shares = 1 / np.sin(np.pi * np.arange(1, points) / (2 * points)) ** 2
    return shares / shares.sum()
