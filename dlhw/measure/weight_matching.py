"""The permutations of hidden units that bring the weights of one net closest to those of another: arrays only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from dlhw.models.channels import Channels

Array = NDArray[np.floating]
Permutations = dict[int, NDArray[np.integer]]

SWEEPS = 100
"""Most sweeps over the groups: matching usually ends before the tenth."""
_SWAPPED = 16
"""Most units of a group that is improved by exchanging pairs where no assignment improves it."""


@dataclass(frozen=True)
class MatchedUnits:
    """Permutations of the groups of a net, and how far its weights were from the others."""

    permutations: Permutations
    distances: Array  # at the start and after every sweep
    converged: bool  # whether the last sweep changed nothing


class WeightMatching:
    """Coordinate descent on |a - P(b)|^2 over the permutations of all groups (Ainsworth et al. 2023, algorithm 1)."""

    def __init__(self, channels: Channels, a: Sequence[Array], b: Sequence[Array], compared: Sequence[bool]) -> None:
        """compared: for each weight, whether it counts in the distance."""
        self.channels = channels
        self.a, self.b = ([np.asarray(w, np.float64) for w in weights] for weights in (a, b))
        self.compared = [k for k, counts in enumerate(compared) if counts]
        axes = channels.by_weight
        self.touched = {
            g: [k for k in self.compared if any(g in axis.layout for axis in axes.get(k, ()))] for g in channels.free
        }
        self.is_twice = {
            g: any(sum(g in axis.layout for axis in axes[k]) > 1 for k in self.touched[g]) for g in channels.free
        }

    def distance(self, permutations: Mapping[int, NDArray[np.integer]]) -> float:
        """Return |a - P(b)| over the weights that are compared."""
        squares = 0.0
        for k in self.compared:
            difference = self.a[k] - self.channels.permute(k, self.b[k], permutations)
            squares += float(np.vdot(difference, difference))
        return float(np.sqrt(squares))

    def descend(self, start: Permutations, rng: np.random.Generator, sweeps: int = SWEEPS) -> MatchedUnits:
        """Return what coordinate descent finds from `start`, with the groups of each sweep in random order."""
        now, distances, changed = dict(start), [self.distance(start)], True
        while changed and len(distances) <= sweeps:
            changed = False
            for g in rng.permutation(self.channels.free).tolist():
                better = self._improved(g, now)
                if better is not None:
                    now[g], changed = better, True
            distances.append(self.distance(now))
        return MatchedUnits(now, np.array(distances), not changed)

    def _improved(self, g: int, now: Permutations) -> NDArray[np.integer] | None:
        """Return a better permutation of a group, the best one if it is on one axis of its weights; None if none is."""
        products = self._products(g, now)
        best = linear_sum_assignment(products, maximize=True)[1]
        units = np.arange(len(best))
        scale = float(np.abs(products).max(initial=0.0)) * len(best) * 1e-12
        if not self.is_twice[g]:
            gain = float(products[units, best].sum() - products[units, now[g]].sum())
            return best if gain > scale else None
        # The group is on both axes of a kernel, so the products change with it: only what is better is taken.
        before = self._inner(g, now)
        if self._inner(g, {**now, g: best}) > before + scale:
            return best
        return self._swapped(g, now, before + scale)

    def _swapped(self, g: int, now: Permutations, before: float) -> NDArray[np.integer] | None:
        """Return the best exchange of two units, if it is better."""
        size = len(now[g])
        best, highest = None, before
        for i in range(size if size <= _SWAPPED else 0):
            for j in range(i):
                order = now[g].copy()
                order[[i, j]] = order[[j, i]]
                value = self._inner(g, {**now, g: order})
                if value > highest:
                    best, highest = order, value
        return best

    def _products(self, g: int, now: Permutations) -> Array:
        """Return inner products of what belongs to the units of a and of b, other groups permuted, (units, units)."""
        channels = self.channels
        total = np.zeros((channels.sizes[g], channels.sizes[g]))
        for k in self.touched[g]:
            for axis in channels.by_weight[k]:
                if g not in axis.layout:
                    continue
                permuted = channels.permute(k, self.b[k], now, but=axis)
                if len(set(axis.layout)) > 1:  # the other groups of a concatenation
                    others = {**now, g: np.arange(channels.sizes[g])}
                    permuted = np.take(permuted, channels.order(axis.layout, others), axis.axis)
                total += channels.rows(self.a[k], axis, g) @ channels.rows(permuted, axis, g).T
        return total

    def _inner(self, g: int, permutations: Permutations) -> float:
        """Return the inner product of a and P(b) over the weights that the group is part of."""
        return sum(
            float(np.vdot(self.a[k], self.channels.permute(k, self.b[k], permutations))) for k in self.touched[g]
        )


def match_weights(matching: WeightMatching, *, seed: int = 0, starts: int = 1, sweeps: int = SWEEPS) -> MatchedUnits:
    """Return the best of several descents: the first from the order of the units as it is, the others from random ones.

    Args:
        matching: of the two nets.
        seed: of the random orders.
        starts: number of descents.
        sweeps: most sweeps of each.
    """
    rng, channels = np.random.default_rng(seed), matching.channels
    best = matching.descend(channels.identity(), rng, sweeps)
    for _ in range(starts - 1):
        start = channels.identity() | {g: rng.permutation(channels.sizes[g]) for g in channels.free}
        other = matching.descend(start, rng, sweeps)
        if other.distances[-1] < best.distances[-1]:
            best = other
    return best
