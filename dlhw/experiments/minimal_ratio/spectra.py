"""Numbers of the spectra of nets."""

from __future__ import annotations

import numpy as np

from dlhw.experiments.minimal_ratio.spec import Array
from dlhw.measure.eigenvalue_signs import effective_rank, inertia, resolution


def spectrum_numbers(eigenvalues: Array, norms: Array) -> dict[str, Array]:
    """Return numbers of n nets from their spectra (n, P) and |g| (n,): ratios, counts by sign, the effective rank."""
    if not len(eigenvalues):
        keys = ("ratio", "strict_ratio", "positive", "zero", "negative", "unsettled", "settled_ratio", "effective_rank")
        return dict.fromkeys(keys, np.empty(0))
    signs = inertia(eigenvalues)
    least = settled_size(eigenvalues, norms)[:, None]
    size = np.abs(eigenvalues)
    return {
        "ratio": signs.minimal_ratio,
        "strict_ratio": inertia(eigenvalues, 0.0).minimal_ratio,
        "positive": signs.positive.astype(float),
        "zero": signs.zero.astype(float),
        "negative": signs.negative.astype(float),
        "unsettled": ((size > signs.tolerance[:, None]) & (size <= least)).sum(axis=1).astype(float),
        "settled_ratio": (eigenvalues > least).mean(axis=1),
        "effective_rank": effective_rank(eigenvalues),
    }


def settled_size(eigenvalues: Array, norms: Array) -> Array:
    """Return the size above which the sign of an eigenvalue means something, (n,); |g| norms: (n,)."""
    return np.maximum(resolution(eigenvalues, norms), inertia(eigenvalues).tolerance)
