"""The descent of a loss under full-batch gradient descent, against what the gradient norm predicts.

One step of rate r lowers the loss by r |g|² up to the curvature; with momentum m, where the gradient changes slowly,
by r |g|² / (1 - m).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dlhw.checks.answers import Lacking
from dlhw.checks.tables import Array, Table
from dlhw.checks.written_precision import rounding_error

SMOOTH = 0.06
"""Consecutive descents differ by at most this, in logarithms, where the curvature is small enough to be left out."""
STRETCH = 3
"""Smooth steps in a row, or over the memory of the momentum, 1 / (1 - m), if that is longer."""
WARM_UP = 5
"""Times 1 / (1 - m): steps until the momentum has built up."""
ENOUGH = 10
"""Rows on smooth stretches."""
RISING = 0.05
"""Share of the steps on which the loss may rise; with more, the rate is near the edge of stability."""
VISIBLE, VISIBLE_DIGITS = 1e-6, 20
"""Descents below this part of the loss, or this many times the error of its last digit, are rounding."""


@dataclass(frozen=True)
class Descent:
    """Steps on smooth stretches."""

    shares: Array  # descent of the loss over the descent that the norm predicts
    roughness: float  # median of |log(norm_t² / (norm_t-1 norm_t+1))|: 0 for a norm as smooth as the loss

    @property
    def middle(self) -> float:
        """Median of the shares."""
        return float(np.median(self.shares))

    def quantile(self, level: float) -> float:
        """Return a quantile of the shares."""
        return float(np.quantile(self.shares, level))


def descent_of(table: Table) -> Descent | Lacking:
    """Return how a loss descends, from the columns loss and norm and the facts learning_rate and momentum."""
    if not table.has("loss", "learning_rate"):
        return Lacking("needs `layer` columns, or `loss` and `learning_rate` of full-batch gradient descent")
    rate, momentum = table.number("learning_rate"), table.number("momentum") if table.has("momentum") else 0.0
    steps = np.diff(table["iteration"])
    loss, norm = table["loss"], table["norm"]
    if rate <= 0 or not 0 <= momentum < 1 or (steps <= 0).any() or (norm <= 0).any():
        return Lacking("needs a learning rate above 0, a momentum from 0 to 1, rising iterations and norms above 0")
    descent = loss[:-1] - loss[1:]
    if not momentum and (descent < 0).mean() > RISING:
        return Lacking("the loss rises at many steps, so that its descent is not that of a small step")
    predicted = rate / (1 - momentum) * steps * (norm[:-1] ** 2 + norm[1:] ** 2) / 2
    use = _smooth(descent, loss, 1 / (1 - momentum))
    if use.sum() < ENOUGH:
        return Lacking(f"the loss falls smoothly on fewer than {ENOUGH} steps")
    bends = np.abs(np.log(norm[1:-1] ** 2 / (norm[:-2] * norm[2:])))
    return Descent((descent / predicted)[use], float(np.median(bends[use[1:]])))


def _smooth(descent: Array, loss: Array, memory: float) -> np.ndarray:
    """Return the steps at the end of a stretch on which the descent changes slowly."""
    falls = descent > np.maximum(VISIBLE * np.abs(loss[:-1]), VISIBLE_DIGITS * rounding_error(loss)[:-1])
    change = np.full(len(descent), np.inf)
    both = falls[1:] & falls[:-1]
    change[1:][both] = np.abs(np.log(descent[1:][both] / descent[:-1][both]))
    calm = change < SMOOTH
    length = STRETCH if memory <= 1 else max(STRETCH, round(3 * memory))
    lengths = np.zeros(len(calm), int)
    for k, value in enumerate(calm):
        lengths[k] = lengths[k - 1] + 1 if value and k else int(value)
    use = lengths >= length
    if memory > 1:
        use[: round(WARM_UP * memory)] = False
    return use
