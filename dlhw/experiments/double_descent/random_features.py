"""Random Fourier features, and least squares on them: the solution of least norm, and ridge. NumPy and SciPy only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import scipy.linalg
from numpy.typing import NDArray

from dlhw.seeds import Stream, generator

Array = NDArray[np.floating]

WELL_CONDITIONED = 1e-9
"""Smallest eigenvalue of a Gram matrix over its largest from which it gives a solution to seven digits."""


@dataclass(frozen=True)
class FourierFeatures:
    """phi_k(x) = sqrt(2) cos(x v_k + b_k), v_k normal, b_k uniform in [0, 2 pi) (Rahimi and Recht 2007).

    The mean of phi_k(x) phi_k(x') over k tends to exp(-|x - x'|^2 / (2 bandwidth^2)). The first p features of a seed
    are the same for every number of features, so that models are nested.
    """

    directions: Array  # (P, d)
    shifts: Array  # (P,)

    @classmethod
    def draw(cls, count: int, inputs: int, bandwidth: float, seed: int) -> FourierFeatures:
        """Draw `count` features of images of `inputs` numbers."""
        rng = generator(seed, Stream.FEATURES)
        shifts, directions = [], []
        for _ in range(0, count, 256):  # in blocks, so that the first features do not depend on the count
            directions.append(rng.normal(size=(256, inputs)) / bandwidth)
            shifts.append(rng.uniform(0, 2 * np.pi, 256))
        return cls(np.concatenate(directions)[:count], np.concatenate(shifts)[:count])

    def __call__(self, x: Array) -> Array:
        """Return the features of x (n, d), scaled by 1 / sqrt(P), (n, P)."""
        phase = x @ self.directions.T
        phase += self.shifts
        np.cos(phase, out=phase)
        phase *= np.sqrt(2 / len(self.shifts))
        return phase


def median_distance(x: Array, most: int = 500) -> float:
    """Return the median distance of the first `most` rows of x (n, d)."""
    x = x[:most]
    squares = np.square(x).sum(1)
    distances = squares[:, None] + squares - 2 * x @ x.T
    return float(np.sqrt(np.median(distances[np.triu_indices(len(x), 1)])))


def minimum_norm(a: Array, y: Array) -> Array:
    """Return the w of least norm among those of least |a w - y|^2, (p, k), by a QR factorization.

    Where a is not of full rank to rounding, by its singular values.

    Args:
        a: (n, p).
        y: (n, k).
    """
    n, p = a.shape
    if p <= n:
        projected, r = scipy.linalg.qr_multiply(a, y.T, mode="right")  # y' Q
    else:
        q, r = scipy.linalg.qr(a.T, mode="economic")  # a = R' Q', so w = Q R'^-1 y
    diagonal = np.abs(np.diag(r))
    if diagonal.min() <= max(n, p) * np.finfo(float).eps * diagonal.max():
        return np.asarray(scipy.linalg.lstsq(a, y)[0])
    if p <= n:
        return np.asarray(scipy.linalg.solve_triangular(r, projected.T))
    return np.asarray(q @ scipy.linalg.solve_triangular(r, y, trans="T"))


@dataclass(frozen=True)
class Solutions:
    """Coefficients of k targets on p features."""

    least_norm: Array  # (p, k)
    ridge: Array  # (penalties, p, k)


def solve(a: Array, y: Array, penalties: Sequence[float]) -> Solutions:
    """Return the solution of least norm, and those of |a w - y|^2 + penalty |w|^2 for every penalty.

    One eigendecomposition of the smaller Gram matrix, a'a or aa', gives all of them. Where that squares a condition
    number which is too large, at the interpolation threshold, :func:`minimum_norm` gives the first.

    Args:
        a: (n, p).
        y: (n, k).
        penalties: positive.
    """
    n, p = a.shape
    values, vectors = scipy.linalg.eigh(a.T @ a if p < n else a @ a.T, driver="evd", overwrite_a=True)
    rotated = vectors.T @ (a.T @ y if p < n else y)

    def at(penalty: float) -> Array:
        inner = vectors @ (rotated / (values + penalty)[:, None])
        return np.asarray(inner if p < n else a.T @ inner)

    is_well = values[0] > WELL_CONDITIONED * values[-1]
    return Solutions(at(0.0) if is_well else minimum_norm(a, y), np.stack([at(penalty) for penalty in penalties]))
