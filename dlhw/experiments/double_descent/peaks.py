"""The peak of a curve over sizes, and whether the seeds separate it from the minima on its sides."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dlhw.experiments.double_descent.spec import Array
from dlhw.present.tables import row_medians


@dataclass(frozen=True)
class Peak:
    """Positions along the sizes: of the peak, and of the lowest points before and after it."""

    at: int
    before: int
    after: int
    height: float  # of the peak above the higher of both minima
    separated: bool  # whether all seeds at the peak lie above all seeds at both minima


def highest_peak(values: Array) -> Peak | None:
    """Return the most prominent peak of the medians over seeds, (P, S) in order of size; None where there is none.

    The prominence of a point is its height above the higher of the lowest points on its two sides, so that the large
    error of models that are too small is no peak.
    """
    medians = row_medians(values)
    known = np.flatnonzero(np.isfinite(medians))
    best: Peak | None = None
    for k in known[1:-1]:
        before, after = known[known < k], known[known > k]
        low, high = before[medians[before].argmin()], after[medians[after].argmin()]
        height = float(medians[k] - max(medians[low], medians[high]))
        if height > (0.0 if best is None else best.height):
            rows = [values[i][np.isfinite(values[i])] for i in (k, low, high)]
            separated = bool(rows[0].min() > max(rows[1].max(), rows[2].max()))
            best = Peak(int(k), int(low), int(high), height, separated)
    return best
