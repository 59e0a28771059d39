"""Curves of a run while it trains: `live.html` in the run folder, rewritten every few seconds."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from dlhw import files
from dlhw.present import style
from dlhw.present.templates import load_template

FILE = "live.html"
SECONDS = 3.0
"""Between two versions of the page, and at least between two gradient norms of one net."""
MOST_POINTS = 400
WIDTH, HEIGHT, MARGIN = 720, 240, 46
TEMPLATES = Path(__file__).parent / "templates"


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


class LivePage:
    """Collects loss and gradient norm of every net, and writes the page.

    Args:
        folder: the run folder.
        title: of the page.
    """

    def __init__(self, folder: Path, title: str) -> None:
        self.path, self.title = folder / FILE, title
        self.loss: dict[str, Curve] = {}
        self.gradient_norm: dict[str, Curve] = {}
        self.due: dict[str, float] = {}
        self.written, self.lock = 0.0, threading.Lock()

    def add(self, net: str, step: float, loss: float, gradient_norm: Callable[[], float] | None = None) -> None:
        """Add a point of a net; its gradient norm is computed once in :data:`SECONDS` at most."""
        now = time.monotonic()
        norm = None
        if gradient_norm is not None and now >= self.due.get(net, 0.0):
            norm = gradient_norm()
            self.due[net] = time.monotonic() + SECONDS
        with self.lock:
            self.loss.setdefault(net, Curve()).add(step, loss)
            if norm is not None:
                self.gradient_norm.setdefault(net, Curve()).add(step, norm)
            if now >= self.written + SECONDS:
                self.write()
                self.written = time.monotonic()

    def write(self, *, finished: bool = False) -> None:
        """Write the page; a finished one no longer reloads itself."""
        charts = [("loss", _chart(self.loss)), ("gradient norm", _chart(self.gradient_norm))]
        names = [(name, style.COLORS[k % len(style.COLORS)]) for k, name in enumerate(self.loss)]
        page = load_template(TEMPLATES, FILE).render(
            title=self.title,
            seconds=math.ceil(SECONDS),
            finished=finished,
            charts=[(name, chart) for name, chart in charts if chart is not None],
            names=names,
            width=WIDTH,
            height=HEIGHT,
            margin=MARGIN,
        )
        self.path.parent.mkdir(parents=True, exist_ok=True)
        files.write_bytes(self.path, page.encode())


@dataclass(frozen=True)
class Chart:
    """Lines of a chart in its own coordinates, with the labels of its axes."""

    lines: list[tuple[str, str]]  # colour, points of a polyline
    ticks: list[tuple[float, str]]  # height, label
    last: str  # label of the right end


def _chart(curves: dict[str, Curve]) -> Chart | None:
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
        lines.append((style.COLORS[k % len(style.COLORS)], " ".join(drawn)))
    ticks = [(y(at), f"{10**at:.3g}") for at in (low, (low + high) / 2, high)]
    return Chart(lines, ticks, f"{last:,.0f}")
