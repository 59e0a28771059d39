"""How precisely numbers were written down."""

from __future__ import annotations

from collections.abc import Iterable

MOST_DECIMALS = 12


def decimals(values: Iterable[float]) -> int:
    """Return the most digits after the decimal point that any of the values needs."""
    return max((_decimals(float(v)) for v in values), default=0)


def half_unit(values: Iterable[float]) -> float:
    """Return by how much numbers that were rounded together may be off: half of their last digit."""
    return 0.5 * 10.0 ** -decimals(values)


def _decimals(value: float) -> int:
    text = f"{value:.{MOST_DECIMALS}f}".rstrip("0")
    return len(text.split(".")[1])
