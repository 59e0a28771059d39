"""Clearly different losses of critical points: the answer to the question of `minimal-ratio`."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from dlhw.experiments.minimal_ratio.spec import Array
from dlhw.present.findings import Finding
from dlhw.present.numbers import format_median_range, format_number

DISTINCT = 0.01
"""Relative difference from which two losses count as different."""
SHOWN = 8


def levels(loss: Array) -> list[NDArray[np.integer]]:
    """Return the points at every clearly different loss, from the lowest: each 1 % or more above the one before it."""
    order = np.argsort(loss, kind="stable")
    jumps = np.flatnonzero(loss[order][1:] > (1 + DISTINCT) * loss[order][:-1]) + 1
    return list(np.split(order, jumps))


def distinct_losses(loss: Array, ratio: Array) -> list[Finding]:
    """State how the share of positive curvatures goes with the loss of the critical points, loss by loss."""
    groups = levels(loss)
    if len(groups) < 2:
        return []
    medians = np.array([np.median(ratio[group]) for group in groups])
    if (np.diff(medians) < 0).all():
        answer = "The lower the loss at a critical point, the more of the directions there curve upwards"
    elif medians[0] > medians[-1]:
        answer = "Critical points of the lowest loss have more directions that curve upwards than those of the highest"
    else:
        answer = "Critical points of lower loss do not have more directions that curve upwards"
    parts = [
        f"{format_number(float(np.median(loss[group])))} (ratio {format_median_range(ratio[group])}, {len(group)} "
        f"net{'s' if len(group) > 1 else ''})"
        for group in groups
    ]
    half = SHOWN // 2
    listed = [*parts[:half], "...", *parts[-half:]] if len(parts) > SHOWN else parts
    text = (
        f"{answer}; {len(groups)} clearly different losses, from the lowest, with the share of positive eigenvalues "
        f"there: {', '.join(listed)}. How many nets are at each depends on where searches start, and says nothing "
        "about how many such points there are."
    )
    return [Finding("distinct-losses", text)]
