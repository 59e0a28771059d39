"""What is measured at a point of a training: arrays to fill, and the overlap of the gradient with eigenvectors."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from dlhw.experiments.edge.spec import EIGENVALUES, OVERLAPS, Array, Settings

Arrays = dict[str, np.ndarray]


def unmeasured(settings: Settings, dtype: DTypeLike) -> Arrays:
    """Return the arrays of one training before anything is measured: nan, and nothing that has not converged."""
    count = len(settings.steps)
    arrays: dict[str, Any] = {"residual": np.full(count, np.nan, dtype), "gradient_norm": np.full(count, np.nan, dtype)}
    arrays["eigenvalues"] = np.full((count, EIGENVALUES), np.nan, dtype)
    arrays["overlap"] = np.full((count, len(OVERLAPS)), np.nan, dtype)
    return arrays | {"converged": np.ones(count, bool)}


def overlaps(gradient: Array, vectors: Array) -> Array:
    """Return the share of |g|^2 in the span of the first eigenvectors, (B, 2); nan where the gradient is zero.

    Args:
        gradient: (B, P).
        vectors: orthonormal rows, (B, 3, P), that of the largest eigenvalue first.
    """
    along = np.einsum("bkp,bp->bk", vectors, gradient) ** 2
    whole = np.sum(gradient**2, axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        shares = np.stack([along[:, :k].sum(axis=1) / whole for k in OVERLAPS], axis=1)
    return np.where(whole[:, None] > 0, shares, np.nan)
