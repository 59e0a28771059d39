"""Curves of a run while it trains: `live.html` in the run folder, rewritten every few seconds."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable
from pathlib import Path

from dlhw.present.templates import load_template
from dlhw.runs.live_chart import HEIGHT, MARGIN, WIDTH, Curve, chart_of, look_of
from dlhw.runs.store import LIVE_PAGE
from dlhw.storage import files

SECONDS = 3.0
"""Between two versions of the page."""
GRADIENT_SECONDS = 0.3
"""At least between two gradient norms of one net."""
TEMPLATES = Path(__file__).parent / "templates"


class LivePage:
    """Collects loss and gradient norm of every net, and writes the page.

    Args:
        folder: the run folder.
        title: of the page.
    """

    def __init__(self, folder: Path, title: str) -> None:
        self.path, self.title = folder / LIVE_PAGE, title
        self.loss: dict[str, Curve] = {}
        self.gradient_norm: dict[str, Curve] = {}
        self.due: dict[str, float] = {}
        self.written, self.lock = 0.0, threading.Lock()

    def add(self, net: str, step: float, loss: float, gradient_norm: Callable[[], float] | None = None) -> None:
        """Add a point of a net; its gradient norm is computed once in :data:`GRADIENT_SECONDS` at most."""
        now = time.monotonic()
        norm = None
        if gradient_norm is not None and now >= self.due.get(net, 0.0):
            norm = gradient_norm()
            self.due[net] = time.monotonic() + GRADIENT_SECONDS
        with self.lock:
            self.loss.setdefault(net, Curve()).add(step, loss)
            if norm is not None:
                self.gradient_norm.setdefault(net, Curve()).add(step, norm)
            if now >= self.written + SECONDS:
                self.write()
                self.written = time.monotonic()

    def end(self, how: str) -> None:
        """Write how the run ended, if the page has been written at all."""
        if self.written:
            self.write(how)

    def write(self, ended: str = "") -> None:
        """Write the page. ended: how the run ended; then the page no longer reloads itself."""
        charts = [("loss", chart_of(self.loss)), ("gradient norm", chart_of(self.gradient_norm))]
        names = [(name, *look_of(k)) for k, name in enumerate(self.loss)]
        page = load_template(TEMPLATES, LIVE_PAGE).render(
            title=self.title,
            seconds=math.ceil(SECONDS),
            ended=ended,
            charts=[(name, chart) for name, chart in charts if chart is not None],
            names=names,
            width=WIDTH,
            height=HEIGHT,
            margin=MARGIN,
        )
        files.write_bytes(self.path, page.encode())
