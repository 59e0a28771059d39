"""When a training has converged: a rule on the losses that it recorded. NumPy alone."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FALL = 0.01
"""Fraction by which the smoothed loss has to fall for a training to go on."""
PART = 10
"""The smoothed loss is the median of one part in so many of the steps taken so far."""
PLATEAU = 0.9
"""A smoothed loss above this fraction of the loss of the best constant is on the first plateau: training goes on."""
CHECKS = 100
"""Checks of a training in steps, evenly spaced up to its limit."""


@dataclass(frozen=True)
class Convergence:
    """The rule, for losses that were recorded once a step, or once an epoch.

    After t steps, with windows of w = t / 10 steps (rounded down, and `least_window` at least): the median of the last
    w losses is not below 0.99 times the median of the w losses before them, and is below 0.9 times the loss of the best
    constant. Never before step `least`.
    """

    least: int
    least_window: int

    def reached(self, losses: NDArray[np.floating], constant: float) -> NDArray[np.bool_]:
        """Return whether trainings have converged.

        Args:
            losses: of the steps so far, (..., t).
            constant: the loss of the best constant output.

        Returns:
            (...,); False where a loss is not finite.
        """
        t = losses.shape[-1]
        if t < self.least:
            return np.zeros(losses.shape[:-1], bool)
        w = max(self.least_window, t // PART)
        now, before = (np.median(losses[..., t - k * w : t - (k - 1) * w].astype(np.float64), axis=-1) for k in (1, 2))
        with np.errstate(invalid="ignore"):
            return (now >= (1 - FALL) * before) & (now < PLATEAU * constant)


OVER_STEPS = Convergence(200, 20)
OVER_EPOCHS = Convergence(10, 5)  # shorter windows stop at the first batch that throws the loss up


def check_steps(most: int) -> list[int]:
    """Return the steps of a training of at most `most` at which it is checked; the last is not among them.

    They do not depend on how a training is cut into pieces.
    """
    return sorted({-(-k * most // CHECKS) for k in range(1, CHECKS)} - {most})


def entropy(labels: NDArray[np.integer]) -> float:
    """Return the cross entropy of the best constant output: the entropy of the frequencies of the classes, in nats."""
    _, counts = np.unique(labels, return_counts=True)
    shares = counts / counts.sum()
    return float(-(shares * np.log(shares)).sum())
