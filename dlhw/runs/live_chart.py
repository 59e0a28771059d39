"""Curves as lines of an SVG, for a page that is rewritten every few seconds."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from dlhw.present import style

MOST_POINTS = 400
DASHES = ("", "7 3", "2 3", "9 3 2 3")
WIDTH, HEIGHT, MARGIN = 720, 240, 46


@dataclass
class Curve:
    """A quantity of one net against its step or epoch."""

    steps: list[float] = field(default_factory=list)
    values: list[float] = field(default_factory=list)

    def add(self, step: float, value: float) -> None:
        """Add a point; of too many, every second one is dropped."""
        self.steps.append(step)
        self.values.append(value)
        if len(self.steps) > MOST_POINTS:
            self.steps, self.values = self.steps[::2], self.values[::2]


def look_of(k: int) -> tuple[str, str]:
    """Return colour and dashes of the k-th net, which no other of the first 32 has."""
    return style.COLORS[k % len(style.COLORS)], DASHES[k // len(style.COLORS) % len(DASHES)]


@dataclass(frozen=True)
class Chart:
    """Lines of a chart in its own coordinates, with the labels of its axes."""

    lines: list[tuple[str, str, str]]  # colour, dashes, points of a polyline
    ticks: list[tuple[float, str]]  # height, label
    last: str  # label of the right end


def chart_of(curves: dict[str, Curve]) -> Chart | None:
    """Return lines on a logarithmic vertical axis; None where no value is positive."""
    finite = [v for curve in curves.values() for v in curve.values if v > 0 and math.isfinite(v)]
    if not finite:
        return None
    low, high = math.log10(min(finite)), math.log10(max(finite))
    low, high = (low, high) if high - low > 1e-9 else (low - 0.5, high + 0.5)
    last = max(curve.steps[-1] for curve in curves.values()) or 1.0

    def x(step: float) -> float:
        return MARGIN + (WIDTH - MARGIN) * step / last

    def y(logarithm: float) -> float:
        return 8 + (HEIGHT - 16) * (high - logarithm) / (high - low)

    lines = []
    for k, curve in enumerate(curves.values()):
        points = zip(curve.steps, curve.values, strict=True)
        drawn = [f"{x(s):.1f},{y(math.log10(v)):.1f}" for s, v in points if v > 0 and math.isfinite(v)]
        lines.append((*look_of(k), " ".join(drawn)))
    ticks = [(y(at), f"{10**at:.3g}") for at in (low, (low + high) / 2, high)]
    return Chart(lines, ticks, f"{last:,.0f}")
