"""Trends of a sequence, by ranks."""

from __future__ import annotations

from collections.abc import Sequence

from dlhw.checks.tables import Array

MOST = 400
"""Values: of more, every second, third, ... is taken, as the number of pairs grows with the square."""


def tau(values: Array | Sequence[float]) -> float:
    """Return Kendall's tau of values and time: 1 if every pair rises, -1 if every pair falls, ties count nothing."""
    numbers = [float(v) for v in values[:: -(-len(values) // MOST) or 1]]
    pairs = [(b > a) - (b < a) for i, a in enumerate(numbers) for b in numbers[i + 1 :]]
    return sum(pairs) / len(pairs) if pairs else 0.0
