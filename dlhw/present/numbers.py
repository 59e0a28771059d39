"""Numbers as text."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating]

NONE = "–"
"""Where there is no finite number."""


def format_number(value: float) -> str:
    """Return three significant digits; a dash for nan."""
    return NONE if not np.isfinite(value) else f"{value:.3g}"


def format_median_range(values: Array, unit: str = "") -> str:
    """Return the median with minimum and maximum of the finite values: `0.0021 (0.0014 to 0.0074)`."""
    finite = values[np.isfinite(values)]
    if not len(finite):
        return NONE
    median = format_number(float(np.median(finite))) + unit
    if len(values) == 1:
        return median
    return f"{median} ({format_number(float(finite.min()))} to {format_number(float(finite.max()))})"


def format_percent(fractions: Array, unit: str = "") -> str:
    """Return fractions in per cent: median with minimum and maximum, with the digits that thousands of images support.

    Such as `98.10 (98.06 to 98.48)`, or with unit=" %" `98.10 % (98.06 to 98.48)`.
    """
    finite = np.asarray(fractions, float)[np.isfinite(fractions)] * 100
    if not len(finite):
        return NONE
    spread = f" ({finite.min():.2f} to {finite.max():.2f})" if len(fractions) > 1 else ""
    return f"{np.median(finite):.2f}{unit}{spread}"


def format_duration(seconds: float) -> str:
    """Return `12 s`, `4 min 05 s`, `1 h 07 min`."""
    whole = round(seconds)
    if whole < 60:
        return f"{seconds:.0f} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


def diverged_note(diverged_at: NDArray[np.integer]) -> str:
    """Return what a label says of trainings that diverged: ` · 2 diverged`, or nothing."""
    count = int((diverged_at >= 0).sum())
    return f" · {count} diverged" if count else ""
