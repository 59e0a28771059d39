"""Directions and planes in the space of weights: arrays and shapes only, no model is called."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, TypeAlias, get_args

import numpy as np
from numpy.typing import NDArray

from dlhw.errors import require

Array = NDArray[np.floating]
Norm = Literal["filter", "layer", "weight", "none"]
Shapes: TypeAlias = Any
"""A Keras model, or the shapes of its trainable weights: a sequence of tuples of integers."""


def random_direction(theta: Array, shapes: Shapes, *, norm: Norm = "filter", seed: int = 0) -> Array:
    """Return a Gaussian direction at `theta`, scaled by :func:`normalized`.

    Args:
        theta: weights, (P,).
        shapes: the Keras model, or the shapes of its trainable weights.
        norm: see :func:`normalized`.
        seed: the same seed gives the same direction.

    Returns:
        The direction, (P,).

    Raises:
        UserError: for an unknown norm, and weights that are not as many as the shapes say.

    Example:
        >>> import numpy as np
        >>> from dlhw import measure
        >>> d = measure.random_direction(np.ones(6), [(3, 2)], norm="layer")
        >>> float(np.linalg.norm(d).round(6)) == float(np.sqrt(6).round(6))
        True
    """
    drawn = np.random.default_rng(seed).standard_normal(len(theta))
    return normalized(drawn, theta, shapes, norm=norm)


def normalized(direction: Array, theta: Array, shapes: Shapes, *, norm: Norm = "filter") -> Array:
    """Return `direction` with the size of the weights `theta`, tensor by tensor.

        filter  d_j <- d_j |theta_j| / |d_j| for every filter or neuron j (:func:`dlhw.measure.filter_axes` says which
                slices those are; of a list of shapes, the last axis of every kernel is taken)
        layer   the same with the whole tensor in place of a filter
        weight  d_i <- |theta_i| sign(d_i) for every single weight
        none    d itself

    Biases, normalizations and other tensors without filters get zero, except for "none". A filter whose weights are all
    zero gets zero. Li et al. 2018, Visualizing the loss landscape of neural nets: a ReLU net whose layers are rescaled
    computes the same function, and only directions that are rescaled with it see the same surface.

    Args:
        direction: (P,).
        theta: weights, (P,), in the order of :func:`dlhw.measure.flat`.
        shapes: the Keras model, or the shapes of its tensors in the order of the vector. Shapes alone are enough for
            Dense and Conv layers; transposed and depthwise convolutions, attention and embeddings need the model.
        norm: see above.

    Returns:
        The scaled direction, (P,).

    Raises:
        UserError: for an unknown norm, and vectors that are not as long as the shapes say.

    Example:
        >>> import numpy as np
        >>> from dlhw import measure
        >>> measure.normalized(np.array([3.0, -4.0]), np.array([1.0, 2.0]), [(2, 1)], norm="weight").tolist()
        [1.0, -2.0]
    """
    require(norm in get_args(Norm), f"`norm` {norm!r} is unknown; use {', '.join(get_args(Norm))}")
    tensors = _tensors(shapes)
    sizes = [int(np.prod(shape)) for shape, _ in tensors]
    fits = np.shape(direction) == np.shape(theta) == (sum(sizes),)
    require(
        fits, f"`direction` {np.shape(direction)} and `theta` {np.shape(theta)} must be vectors of {sum(sizes)} weights"
    )
    direction, theta = np.asarray(direction, np.float64), np.asarray(theta, np.float64)
    if norm == "none":
        return direction
    scaled, at = np.zeros_like(theta), 0
    for (shape, axes), size in zip(tensors, sizes, strict=True):
        span = slice(at, at + size)
        at += size
        if axes is None:
            continue
        d, t = direction[span].reshape(shape), theta[span].reshape(shape)
        if norm == "weight":
            scaled[span] = (np.abs(t) * np.sign(d)).ravel()
            continue
        summed = axes if norm == "filter" else None
        length = np.sqrt((d**2).sum(axis=summed, keepdims=True))
        wanted = np.sqrt((t**2).sum(axis=summed, keepdims=True))
        scaled[span] = (d * wanted / np.where(length > 0, length, 1.0)).ravel()
    return scaled


def _tensors(shapes: Shapes) -> list[tuple[tuple[int, ...], tuple[int, ...] | None]]:
    """Return the shape of every tensor and the axes over which a filter of it is summed; None: it has none."""
    if hasattr(shapes, "trainable_variables"):
        from dlhw.measure.filters import filter_axes

        variables = shapes.trainable_variables
        return [(tuple(v.shape), a) for v, a in zip(variables, filter_axes(shapes), strict=True)]
    return [(tuple(s), tuple(range(len(s) - 1)) if len(s) > 1 else None) for s in shapes]


@dataclass(frozen=True)
class Plane:
    """theta(a, b) = origin + a first + b second. The directions need be neither unit nor orthogonal."""

    origin: Array  # (P,)
    first: Array  # (P,)
    second: Array  # (P,)

    def at(self, a: float, b: float) -> Array:
        """Return the weights at a point of the plane.

        Args:
            a: coordinate along `first`.
            b: coordinate along `second`.

        Returns:
            origin + a first + b second, (P,).
        """
        return self.origin + a * self.first + b * self.second

    def coordinates(self, points: Array) -> tuple[Array, Array]:
        """Project weights onto the plane.

        Args:
            points: weights, (n, P) or (P,).

        Returns:
            Coordinates (a, b) of the nearest points of the plane, (n, 2), and the Euclidean distances to them, (n,).
        """
        away = np.atleast_2d(np.asarray(points, np.float64)) - self.origin
        basis = np.stack([self.first, self.second], axis=1)
        coefficients = np.linalg.lstsq(basis, away.T, rcond=None)[0].T
        return coefficients, np.linalg.norm(away - coefficients @ basis.T, axis=1)


def random_plane(theta: Array, shapes: Shapes, *, norm: Norm = "filter", seed: int = 0) -> Plane:
    """Return the plane through `theta` along two random directions (Li et al. 2018), nearly orthogonal for large P.

    Args:
        theta: weights, (P,).
        shapes: the Keras model, or the shapes of its trainable weights.
        norm: see :func:`normalized`.
        seed: of both directions.

    Returns:
        The plane, with `theta` as its origin.

    Raises:
        UserError: for an unknown norm, and weights that are not as many as the shapes say.

    Example:
        >>> import numpy as np
        >>> from dlhw import measure
        >>> plane = measure.random_plane(np.ones(6), [(3, 2)])
        >>> plane.at(0, 0).tolist() == [1.0] * 6
        True
    """
    streams = np.random.SeedSequence(seed).generate_state(2)
    one, two = (random_direction(theta, shapes, norm=norm, seed=int(s)) for s in streams)
    return Plane(np.asarray(theta, np.float64), one, two)


def path_plane(path: Array) -> tuple[Plane, Array]:
    """Return the plane of the first two principal components of a path of training, with its last point as the origin.

    Args:
        path: weights along the training, (n, P).

    Returns:
        The plane, whose directions are orthonormal, and the fractions of the variance of the path along all components,
        (n - 1,). What is not in the first two is the part of the path that the picture leaves out.

    Raises:
        UserError: for fewer than two points, and a path that does not move.

    Example:
        >>> import numpy as np
        >>> from dlhw import measure
        >>> plane, explained = measure.path_plane(np.array([[0.0, 0, 0], [1, 1, 0], [2, 0, 0]]))
        >>> plane.origin.tolist(), float(explained.sum().round(6))
        ([2.0, 0.0, 0.0], 1.0)
    """
    from dlhw.measure.principal_components import pca

    components = pca(path)
    require(bool(np.isfinite(components.explained).all()), "the path does not move, so it spans no plane")
    rows = components.components
    second = rows[1] if len(rows) > 1 else _orthogonal(rows[0])
    return Plane(np.asarray(path[-1], np.float64), rows[0], second), components.explained


def three_point_plane(a: Array, b: Array, c: Array) -> Plane:
    """Return the plane through three points, with orthonormal directions: a is the origin, and b is on the first axis.

    Garipov et al. 2018, Loss surfaces, mode connectivity, and fast ensembling of DNNs.

    Args:
        a: weights, (P,).
        b: weights, (P,).
        c: weights, (P,).

    Returns:
        The plane.

    Raises:
        UserError: if the three points are on a line.

    Example:
        >>> import numpy as np
        >>> from dlhw import measure
        >>> plane = measure.three_point_plane(np.zeros(3), np.array([2.0, 0, 0]), np.array([1.0, 1, 0]))
        >>> plane.at(2, 0).tolist()
        [2.0, 0.0, 0.0]
    """
    a, u, v = np.asarray(a, np.float64), np.asarray(b, np.float64) - a, np.asarray(c, np.float64) - a
    length = np.linalg.norm(u)
    first = u / length if length > 0 else u
    orthogonal = v - (v @ first) * first
    height = np.linalg.norm(orthogonal)
    flat = height <= 1e-9 * max(float(np.linalg.norm(v)), float(length))
    require(bool(length > 0 and not flat), "the three points lie on a line, so they span no plane")
    return Plane(a, first, orthogonal / height)


def _orthogonal(row: Array) -> Array:
    """Return a unit vector orthogonal to `row`."""
    other = np.zeros_like(row)
    other[int(np.abs(row).argmin())] = 1.0
    other -= (other @ row) * row
    return other / np.linalg.norm(other)
