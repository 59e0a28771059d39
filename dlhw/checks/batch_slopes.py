"""How a sensitivity depends on the batch size, compared with the factors 1/B and 1/B² that a batch mean leaves in it.

Right sweeps differ: over the batch size B they rise, fall or have a peak, because large batches train for fewer
updates. So three hypotheses are compared by their likelihood: that value B^k, for k = 0, 1 and 2, has the slope and the
size of a right sensitivity. What right ones are like comes from sweeps of small nets, see docs/checks.md.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dlhw.checks.answers import Lacking
from dlhw.checks.student_t import half_width
from dlhw.checks.tables import Array, Table

SIZES, SPAN = 3, 8
"""At least so many batch sizes, and largest over smallest."""
SLOPE, SLOPE_SPREAD, SLOPE_TAIL = -0.12, 0.27, 4
"""Log-log slopes of right sweeps: center, scale and degrees of freedom of Student's t."""
SIZE, SIZE_SPREAD, SIZE_SPREAD_UNKNOWN, SIZE_TAIL = -0.4, 0.45, 0.8, 6
"""Decimal logarithm of the geometric mean of right sweeps, with inputs from 0 to 1; wider where `data` is not given."""
SCATTER, SCATTER_WEIGHT = 0.15, 3
"""Scatter of log values about the line, and the number of observations that it counts for."""
LIKELIER = 1.0
"""Difference of log likelihoods from which a hypothesis counts as preferred."""
STEEPEST, FLATTEST = -1.2, 0.6
"""Slopes outside -k + these are not explained by 1/B^k: a sweep that hardly falls does not carry such a factor."""


@dataclass(frozen=True)
class Slope:
    """A line through log value against log batch."""

    slope: float
    half_width: float  # of the 95 % interval of the slope
    log_size: float  # decimal logarithm of the geometric mean of the values
    log_batch: float  # of the batch sizes
    likelihoods: tuple[float, float, float]  # logarithms, of 1/B^k for k = 0, 1, 2

    @property
    def factor(self) -> int:
        """The likeliest k that explains the slope."""
        explained = [k for k in (1, 2) if STEEPEST <= self.slope + k <= FLATTEST]
        return max([0, *explained], key=lambda k: self.likelihoods[k])

    def preference(self, factor: int) -> float:
        """Return by how much the log likelihood of 1/B^k exceeds that of a right sweep."""
        return self.likelihoods[factor] - self.likelihoods[0]


def slope_of(table: Table) -> Slope | Lacking:
    """Return the line through a table of the item `sensitivity`; several rows of one batch size are averaged."""
    batch, value = table["batch"], table["value"]
    if (batch <= 0).any() or (value <= 0).any():
        return Lacking("a slope in logarithms needs batch sizes and values above zero")
    sizes = np.unique(batch)
    if len(sizes) < SIZES or sizes[-1] < SPAN * sizes[0]:
        return Lacking(f"a slope needs at least {SIZES} batch sizes, the largest at least {SPAN} times the smallest")
    logs = np.array([np.log(value[batch == size]).mean() for size in sizes])
    return fit(np.log(sizes), logs, known="data" in table.facts)


def fit(x: Array, y: Array, *, known: bool) -> Slope:
    """Return the least squares line through logarithms; known: whether the size of the inputs is known."""
    mean, centered = x.mean(), x - x.mean()
    spread = float(centered @ centered)
    slope = float(centered @ y) / spread
    residual = y - y.mean() - slope * centered
    squares, free = float(residual @ residual), len(x) - 2
    moderated = (squares + SCATTER_WEIGHT * SCATTER**2) / (free + SCATTER_WEIGHT)
    scale = float(np.sqrt(SLOPE_SPREAD**2 + moderated / spread))
    size_scale = SIZE_SPREAD if known else SIZE_SPREAD_UNKNOWN
    log_size, log_batch = float(y.mean() / np.log(10)), float(mean / np.log(10))

    def likelihood(k: int) -> float:
        of_slope = _log_t((slope + k - SLOPE) / scale, SLOPE_TAIL)
        return of_slope + _log_t((log_size + k * log_batch - SIZE) / size_scale, SIZE_TAIL)

    width = half_width(float(np.sqrt(squares / free / spread)), free)
    return Slope(slope, width, log_size, log_batch, (likelihood(0), likelihood(1), likelihood(2)))


def _log_t(t: float, free: int) -> float:
    """Return the log density of Student's t up to a constant."""
    return -(free + 1) / 2 * float(np.log1p(t * t / free))
