"""Trends of a sequence, by ranks."""

from __future__ import annotations

from collections.abc import Sequence

from dlhw.checks.tables import Array


def tau(values: Array | Sequence[float]) -> float:
    """Return Kendall's tau of values and time: 1 if every pair rises, -1 if every pair falls, ties count nothing."""
    numbers = [float(v) for v in values]
    pairs = [(b > a) - (b < a) for i, a in enumerate(numbers) for b in numbers[i + 1 :]]
    return sum(pairs) / len(pairs) if pairs else 0.0
