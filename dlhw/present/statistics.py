"""Rank correlation with an interval."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Interval = tuple[float, float, float]  # estimate, lower, upper


def spearman(a: NDArray[Any], b: NDArray[Any], *, block: int = 1, resamples: int = 300, seed: int = 0) -> Interval:
    """Return Spearman's rank correlation with a percentile bootstrap 95 % interval.

    Args:
        a: (n,).
        b: (n,).
        block: with more than 1, runs of that many neighbours are resampled (moving-block bootstrap, Kuensch 1989),
            which iterations of one training need: they are not independent draws.
        resamples: of the bootstrap.
        seed: of the bootstrap.

    Returns:
        The estimate, and lower and upper end of the interval. The estimate is nan where either is constant or fewer
        than three pairs are finite; the ends are nan where there are fewer than ten blocks, too few to resample.
    """
    known = np.isfinite(a) & np.isfinite(b)
    a, b = a[known], b[known]
    if len(a) < 3:
        return np.nan, np.nan, np.nan
    rng = np.random.default_rng(seed)
    n = len(a)
    if n < 10 * block:
        return _rank_correlation(a, b), np.nan, np.nan
    draws = []
    for _ in range(resamples):
        starts = rng.integers(0, n - block + 1, -(-n // block))
        at = (starts[:, None] + np.arange(block)).ravel()[:n]
        draws.append(_rank_correlation(a[at], b[at]))
    finite = [d for d in draws if np.isfinite(d)]
    low, high = np.percentile(finite, [2.5, 97.5]) if finite else (np.nan, np.nan)
    return _rank_correlation(a, b), float(low), float(high)


def _rank_correlation(a: NDArray[np.floating], b: NDArray[np.floating]) -> float:
    from scipy.stats import rankdata  # late: redrawing a figure needs no SciPy

    ra, rb = rankdata(a) - (len(a) + 1) / 2, rankdata(b) - (len(b) + 1) / 2
    scale = np.sqrt(np.sum(ra**2) * np.sum(rb**2))
    return float(np.sum(ra * rb) / scale) if scale > 0 else np.nan
