"""How far numbers may lie from those they were rounded from, judged by the digits they are written with.

`half_unit` takes a column as rounded to decimals, as losses and accuracies are printed; `rounding_error` allows for
significant digits too, as norms and eigenvalues are printed, and gives every number an error of its own.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from dlhw.checks.tables import Array

MOST_DECIMALS = 12
"""Digits after the point that `decimals` counts at most."""
DIGITS = 15
"""A float64 holds no more significant digits."""
SAME = 1e-12
"""Relative; a number in per cent, divided by 100, may miss the decimal number by this much."""


def decimals(values: Iterable[float]) -> int:
    """Return the most digits after the decimal point that any of the values needs."""
    return max((_decimals(float(v)) for v in values), default=0)


def half_unit(values: Iterable[float]) -> float:
    """Return by how much numbers that were rounded together may be off: half of their last digit."""
    return 0.5 * 10.0 ** -decimals(values)


def rounding_error(values: Array) -> Array:
    """Return for every number half a unit of the last digit that the column is written with.

    A column has a fixed number of decimals or of significant digits, the smallest that holds all of its values. Which
    of the two it was is unknown, so that the larger error counts.
    """
    size = np.abs(values)
    decimals = next((d for d in range(DIGITS + 1) if _same(np.round(values, d), values)), None)
    exponents = np.floor(np.log10(size, where=size > 0, out=np.zeros_like(size)))
    digits = next((s for s in range(1, DIGITS) if _same(_significant(values, exponents, s), values)), DIGITS)
    last = 0.0 if decimals is None else 10.0**-decimals
    return np.asarray(np.maximum(0.5 * last, 0.5 * 10.0 ** (exponents + 1 - digits)))


def _significant(values: Array, exponents: Array, digits: int) -> Array:
    unit = 10.0 ** (exponents + 1 - digits)
    return np.asarray(np.round(values / unit) * unit)


def _same(rounded: Array, values: Array) -> bool:
    return bool((np.abs(rounded - values) <= SAME * np.abs(values)).all())


def _decimals(value: float) -> int:
    text = f"{value:.{MOST_DECIMALS}f}".rstrip("0")
    return len(text.split(".")[1])
