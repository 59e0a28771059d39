"""The figures of a watched training that a reader can move."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from dlhw.present.interactive import Axis, InteractiveFigure, Line, Panel
from dlhw.watch.display import curves
from dlhw.watch.display.drawing import MOST_LINES, has_positive
from dlhw.watch.display.layer_figures import LEAST, USUAL_RATIO
from dlhw.watch.spec import Result, Settings

Array = NDArray[np.floating]

STEP = Axis("batch")


def interactive(settings: Settings, result: Result) -> dict[str, InteractiveFigure]:
    """Return the norms by layer, where there are few layers, with the numbers of every batch that is drawn."""
    if len(result.layers) > MOST_LINES:
        return {}
    norms = [_line(result, k, result.gradient_norm[:, k]) for k in range(len(result.layers))]
    clipped = np.flatnonzero(curves.is_clipped(result)).tolist()
    applied = [np.where(result.updated, result.applied_norm[:, k], np.nan) for k in clipped]
    dashed = [_line(result, k, v, ", applied", 1) for k, v in zip(clipped, applied, strict=True)]
    ratio = curves.update_ratio(result)
    ratios = [_line(result, k, ratio[:, k]) for k in range(len(result.layers))]
    levels = ((USUAL_RATIO, "1e-3"),)
    shown = {
        "gradient-norm": _figure(result, "gradient norm", [*norms, *dashed]),
        "update-ratio": _figure(result, "update / weights", ratios, levels),
    }
    return {name: figure for name, figure in shown.items() if figure is not None}


def _figure(
    result: Result, label: str, lines: list[Line | None], levels: tuple[tuple[float, str], ...] = ()
) -> InteractiveFigure | None:
    drawn = tuple(line for line in lines if line is not None)
    if not drawn:
        return None
    width = -(-len(result.step) // curves.MOST)
    statistic = f"median over {width} batches, band from smallest to largest" if width > 1 else ""
    panel = Panel(STEP, Axis(label, True, LEAST), drawn, levels=levels)
    return InteractiveFigure((panel,), "batch", statistic=statistic)


def _line(result: Result, k: int, values: Array, more: str = "", dash: int = 0) -> Line | None:
    values = np.asarray(values, np.float64)
    if not has_positive(values):
        return None
    line = curves.envelope(result.step, np.where(values > 0, values, np.nan))
    x = np.round(line.x)  # of a batch
    low, high = (line.low, line.high) if line.width > 1 else (None, None)
    return Line(result.layers[k] + more, x, line.median, low, high, color=k, dash=dash)
