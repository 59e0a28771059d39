"""Intervals by Student's t, with quantiles from a table, so that they need no library."""

from __future__ import annotations

QUANTILES = (
    *(12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228),
    *(2.201, 2.179, 2.160, 2.145, 2.131, 2.120, 2.110, 2.101, 2.093, 2.086),
)
"""97.5 % quantiles for 1 to 20 degrees of freedom."""
NORMAL = 1.96


def half_width(error: float, free: int) -> float:
    """Return half the width of the 95 % interval: error times the quantile for `free` degrees of freedom.

    Args:
        error: standard error of the estimate.
        free: degrees of freedom, at least 1.

    Returns:
        The half width; above 20 degrees of freedom the quantile is 1.96 + 2.5 / free, right to 0.003.
    """
    return error * (QUANTILES[free - 1] if free <= len(QUANTILES) else NORMAL + 2.5 / free)
