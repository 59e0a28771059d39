"""Kendall's tau with bootstrap intervals: over all nets, and granulated over one setting at a time."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating]
Integers = NDArray[np.integer]

RESAMPLES = 2000
FEWEST = 10
"""Configurations, or groups, below which there is no interval."""


@dataclass(frozen=True)
class Estimate:
    """A number with its bootstrap draws."""

    value: float
    draws: Array = field(default_factory=lambda: np.empty(0))  # (R,), none where there is too little to resample

    def interval(self, confidence: float = 0.95) -> tuple[float, float]:
        """Return the percentile interval; nan without draws.

        Args:
            confidence: share of the draws inside.
        """
        finite = self.draws[np.isfinite(self.draws)]
        if not len(finite):
            return np.nan, np.nan
        outside = 50 * (1 - confidence)
        low, high = np.percentile(finite, [outside, 100 - outside])
        return float(low), float(high)

    def sign(self, confidence: float = 0.95) -> int:
        """Return 1 or -1 where the whole interval is above or below zero, else 0.

        Args:
            confidence: of the interval.
        """
        low, high = self.interval(confidence)
        return int(low > 0) - int(high < 0)


@dataclass(frozen=True)
class Granulated:
    """Kendall's tau among nets that differ in one setting only."""

    total: Estimate  # mean over the axes
    axes: tuple[Estimate, ...]  # of every axis


def kendall(a: Array, b: Array, *, resamples: int = RESAMPLES, seed: int = 0) -> Estimate:
    """Return Kendall's tau-b of two quantities, with a bootstrap over the configurations.

    A configuration is drawn with all of its seeds, which are not independent of each other.

    Args:
        a: (C, S); nan is left out.
        b: (C, S).
        resamples: of the bootstrap.
        seed: of the bootstrap.

    Returns:
        The estimate, nan where a quantity is constant or fewer than three pairs are finite; without draws where fewer
        than ten configurations are.
    """
    known = np.isfinite(a) & np.isfinite(b)
    clusters = np.broadcast_to(np.arange(len(a))[:, None], a.shape)[known]
    if known.sum() < 3:
        return Estimate(np.nan)
    one, other = (_signs(v[known]) for v in (a, b))
    value = float(_weighted_tau(one, other, np.ones((1, len(one)), np.float32))[0])
    owners, at = np.unique(clusters, return_inverse=True)
    if len(owners) < FEWEST:
        return Estimate(value)
    rng = np.random.default_rng(seed)
    counts = rng.multinomial(len(owners), np.full(len(owners), 1 / len(owners)), size=resamples)
    return Estimate(value, _weighted_tau(one, other, counts[:, at].astype(np.float32)))


def _signs(values: Array) -> Array:
    """Return the signs of all differences, (n, n): in float32, which counts pairs exactly up to 16 million."""
    return np.sign(values[:, None] - values[None, :]).astype(np.float32)


def _weighted_tau(a: Array, b: Array, weights: Array) -> Array:
    """Return tau-b of samples that hold item i `weights[r, i]` times, from the signs of all differences, (R,).

    Copies of one item are ties in both, and have no part in tau-b.
    """

    def pairs(matrix: Array) -> Array:
        return np.asarray(((weights @ matrix) * weights).sum(axis=1), np.float64)

    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(pairs(a * b) / np.sqrt(pairs(np.abs(a)) * pairs(np.abs(b))))


def granulated(
    a: Array, b: Array, levels: Integers, axes: tuple[int, ...], *, resamples: int = RESAMPLES, seed: int = 0
) -> Granulated:
    """Return the granulated Kendall coefficient of Jiang et al. 2020, section 2.2.

    For an axis, nets are grouped that differ in its value alone, of one seed. In a group tau is the mean over all
    pairs of the product of the signs of both differences (ties count 0); the tau of the axis is the mean over its
    groups, and the total the mean over the axes. A measure that follows the gap along one axis only has a low total.

    Args:
        a: the measure, (C, S); nan is left out.
        b: the gap, (C, S).
        levels: position of the value of every axis in every configuration, (C, A).
        axes: columns of `levels` that count: axes of more than one value.
        resamples: of the bootstrap over the groups, a group with all of its seeds.
        seed: of the bootstrap.
    """
    rng = np.random.default_rng(seed)
    estimates = tuple(_along(a, b, levels, axis, resamples, rng) for axis in axes)
    values = [e.value for e in estimates]
    draws = [e.draws for e in estimates]
    total = float(np.mean(values)) if values else np.nan
    complete = bool(draws) and all(len(d) for d in draws)
    return Granulated(Estimate(total, np.mean(draws, axis=0)) if complete else Estimate(total), estimates)


def _along(a: Array, b: Array, levels: Integers, axis: int, resamples: int, rng: np.random.Generator) -> Estimate:
    """Return the mean tau of the groups that differ in one axis alone."""
    others = np.delete(levels, axis, axis=1)
    _, group = np.unique(others, axis=0, return_inverse=True)
    taus = np.array([_tau_a(a[group.ravel() == g], b[group.ravel() == g]) for g in range(group.max() + 1)])  # (G, S)
    finite = np.isfinite(taus)
    sums, counts = np.where(finite, taus, 0.0).sum(axis=1), finite.sum(axis=1)
    sums, counts = sums[counts > 0], counts[counts > 0]
    if not len(counts):
        return Estimate(np.nan)
    value = float(sums.sum() / counts.sum())
    if len(counts) < FEWEST:
        return Estimate(value)
    rows = rng.integers(0, len(counts), (resamples, len(counts)))
    return Estimate(value, sums[rows].sum(axis=1) / counts[rows].sum(axis=1))


def _tau_a(a: Array, b: Array) -> Array:
    """Return tau-a of the finite rows of every seed, (n, S) -> (S,); nan for fewer than two."""
    taus = np.full(a.shape[1], np.nan)
    for s in range(a.shape[1]):
        known = np.isfinite(a[:, s]) & np.isfinite(b[:, s])
        n = int(known.sum())
        if n > 1:
            one, other = (np.sign(v[known, s][:, None] - v[known, s][None, :]) for v in (a, b))
            taus[s] = float((one * other).sum() / (n * (n - 1)))
    return taus
