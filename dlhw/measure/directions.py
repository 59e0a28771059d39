"""Directions and planes in the space of weights: arrays and shapes only, no model is called."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from dlhw.errors import check_numbers, require
from dlhw.measure.normalization import Norm, Shapes, normalized, within
from dlhw.measure.results import Saved

if TYPE_CHECKING:
    from dlhw.models.selection import Layers

Array = NDArray[np.floating]


@check_numbers
def random_direction(
    theta: Array, shapes: Shapes, *, norm: Norm = "filter", seed: int = 0, layers: Layers = None
) -> Array:
    """Return a Gaussian direction at `theta`, scaled by :func:`normalized`.

    Args:
        theta: weights, (P,).
        shapes: the Keras model, or the shapes of its trainable weights.
        norm: see :func:`normalized`.
        seed: the same seed gives the same direction.
        layers: names of layers of the model, one or several: the direction is zero outside of them; None: all.

    Returns:
        The direction, (P,).

    Raises:
        UserError: for an unknown norm, weights that are not as many as the shapes say, and names of layers
            that the model does not have.

    Example:
        >>> import numpy as np
        >>> from dlhw import measure
        >>> d = measure.random_direction(np.ones(6), [(3, 2)], norm="layer")
        >>> float(np.linalg.norm(d).round(6)) == float(np.sqrt(6).round(6))
        True
    """
    drawn = np.random.default_rng(seed).standard_normal(len(theta))
    return within(normalized(drawn, theta, shapes, norm=norm), shapes, layers)


@dataclass(frozen=True)
class Plane(Saved):
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


@check_numbers
def random_plane(theta: Array, shapes: Shapes, *, norm: Norm = "filter", seed: int = 0, layers: Layers = None) -> Plane:
    """Return the plane through `theta` along two random directions (Li et al. 2018), nearly orthogonal for large P.

    Args:
        theta: weights, (P,).
        shapes: the Keras model, or the shapes of its trainable weights.
        norm: see :func:`normalized`.
        seed: of both directions.
        layers: as in :func:`random_direction`.

    Returns:
        The plane, with `theta` as its origin.

    Raises:
        UserError: for an unknown norm, weights that are not as many as the shapes say, and names of layers
            that the model does not have.

    Example:
        >>> import numpy as np
        >>> from dlhw import measure
        >>> plane = measure.random_plane(np.ones(6), [(3, 2)])
        >>> plane.at(0, 0).tolist() == [1.0] * 6
        True
    """
    streams = np.random.SeedSequence(seed).generate_state(2)
    one, two = (random_direction(theta, shapes, norm=norm, seed=int(s), layers=layers) for s in streams)
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
