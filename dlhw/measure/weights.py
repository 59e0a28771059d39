"""Weights as one flat vector, and the path that they take through their space."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dlhw.errors import require

Array = NDArray[np.floating]


def flat(model: Any) -> Array:
    """All trainable weights of a Keras model as one vector, (P,), in the order of `model.trainable_variables`.

    Raises:
        UserError: for a model without trainable weights, such as one that is not built.
    """
    require(bool(model.built), f"model {model.name!r} is not built: call it once on data, model(x[:1])")
    require(len(model.trainable_variables) > 0, f"model {model.name!r} has no trainable weights")
    return np.concatenate([np.asarray(v).ravel() for v in model.trainable_variables])


def assign(model: Any, vector: Array) -> None:
    """Put a flat vector (P,) into the trainable weights of `model`; the inverse of :func:`flat`."""
    sizes = [math.prod(v.shape) for v in model.trainable_variables]
    require(vector.shape == (sum(sizes),), f"vector of shape {vector.shape} for {sum(sizes)} trainable weights")
    pieces = np.split(vector, np.cumsum(sizes)[:-1])
    for variable, piece in zip(model.trainable_variables, pieces, strict=True):
        variable.assign(piece.reshape(variable.shape))


def layer_parts(model: Any) -> dict[str, slice]:
    """Where the trainable weights of each layer stand in the vector of :func:`flat`, by the name of the layer.

    Raises UserError where the weights of a layer do not stand together, as in some subclassed models.
    """
    sizes = [math.prod(v.shape) for v in model.trainable_variables]
    ends = [0, *np.cumsum(sizes).tolist()]
    at = {id(v): i for i, v in enumerate(model.trainable_variables)}
    parts = {}
    for layer in model.layers:
        own = sorted(at.pop(id(v)) for v in layer.trainable_variables if id(v) in at)
        if own:
            together = own == list(range(own[0], own[-1] + 1))
            require(together, f"the weights of layer {layer.name} do not stand together in those of the model")
            parts[layer.name] = slice(ends[own[0]], ends[own[-1] + 1])
    return parts


@dataclass(frozen=True)
class PCA:
    """Principal components of n points in P dimensions."""

    components: Array  # (k, P) orthonormal rows; the entry of largest magnitude of each is positive
    explained: Array  # (n - 1 or fewer,) share of the variance of every component; they add up to 1
    mean: Array  # (P,)

    def coordinates(self, points: Array, origin: Array | None = None) -> Array:
        """(points - origin) components^T, (n, k); the origin is the mean unless told."""
        return (points - (self.mean if origin is None else origin)) @ self.components.T


def pca(points: Array, components: int = 2) -> PCA:
    """Principal components of `points` (n, P) about their mean, by scikit-learn's exact singular value decomposition.

    The sign of a component is arbitrary; it is fixed so that its entry of largest magnitude is positive. Components of
    (nearly) equal variance are arbitrary up to a rotation, which no convention mends: look at `explained`.
    Points that are all equal have no direction: then `explained` is nan.
    """
    points = np.asarray(points)
    require(len(points) >= 2, f"principal components need at least two points, not {len(points)}")
    require(bool(np.isfinite(points).all()), "principal components need finite points")
    from sklearn.decomposition import PCA as Exact  # noqa: N811

    wide = np.asarray(points, np.float64)
    kept = min(len(points) - 1, points.shape[1])
    with np.errstate(invalid="ignore"):  # no variance at all: 0 / 0
        found = Exact(n_components=kept, svd_solver="full").fit(wide)
    rows = found.components_[:components]
    top = np.abs(rows).argmax(axis=1)
    rows = rows * np.sign(rows[np.arange(len(rows)), top])[:, None]
    explained = found.explained_variance_ratio_ if found.explained_variance_.any() else np.full(kept, np.nan)
    return PCA(rows, explained, found.mean_)


def random_walk_shares(points: int) -> Array:
    """Shares of variance of the components 1..points-1 of a random walk of so many points in many dimensions.

    Share of component k is proportional to 1 / sin^2(pi k / 2n) for n points about their mean, which tends to
    6/(pi k)^2 for long walks (Antognini and Sohl-Dickstein 2018, PCA of high dimensional random walks). A path without
    any direction gives 61 % and 15 % then, so large shares of two components alone show nothing.
    """
    require(points >= 2, f"a walk needs at least two points, not {points}")
    shares = 1 / np.sin(np.pi * np.arange(1, points) / (2 * points)) ** 2
    return shares / shares.sum()


def layer_span(kernels: Sequence[tuple[int, ...]], layer: int) -> slice:
    """Where the kernel and bias of the layer with number `layer` (1, 2, ...) stand in a flat vector."""
    sizes = [math.prod(kernel) + kernel[-1] for kernel in kernels]
    require(1 <= layer <= len(sizes), f"--layer {layer} must lie in 1..{len(sizes)}, the layers with weights")
    return slice(sum(sizes[: layer - 1]), sum(sizes[:layer]))
