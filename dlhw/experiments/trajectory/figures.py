"""The figures of `trajectory`."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from dlhw.experiments.trajectory.spec import Array, Result, Settings
from dlhw.measure.principal_components import random_walk_shares
from dlhw.present import plot, scales, style
from dlhw.present.numbers import diverged_note
from dlhw.present.section import ComparisonCurves, Curve
from dlhw.present.tables import row_medians

LEGEND_COLUMNS = 5
COMPONENTS = 10  # of a scree plot


def figures(settings: Settings, result: Result) -> dict[str, Figure]:
    """Return the figures. `pooled`: all paths on common components. `own`: each on its own. `scree`: the variances."""
    return {
        "pooled": _paths_figure(settings, result, "pooled"),
        "own": _paths_figure(settings, result, "own"),
        "scree": _scree_figure(settings, result),
    }


def series(settings: Settings, result: Result) -> ComparisonCurves:
    """Return the test loss against epoch."""
    line = Curve("test loss", np.arange(settings.epochs + 1), result.test_loss)
    return ComparisonCurves("epoch", "test cross entropy (nats)", (line,), log_y=True)


def _paths_figure(settings: Settings, result: Result, which: str) -> Figure:
    fig, panels = plot.panels(2, height=4.9, head=plot.header_height(settings.seeds, LEGEND_COLUMNS, title=True))
    for p, (axes, part) in enumerate(zip(panels, settings.parts(), strict=True)):
        for s, path in enumerate(getattr(result, which)[p]):
            if np.isfinite(path).any():
                label = f"seed {settings.seed + s}: {100 * result.test_accuracy[s, -1]:.1f} %" if p == 0 else None
                _draw_path(axes, path, s, label, comparable=which == "own")
        axes.set_aspect("equal", adjustable="datalim")  # distances are what is shown
        explained = result.pooled_explained[p] if which == "pooled" else row_medians(result.own_explained[p].T)
        median = "" if which == "pooled" else ", median"
        for k, axis in enumerate((axes.xaxis, axes.yaxis)):
            share = f"{100 * explained[k]:.0f} % of variance{median}" if k < len(explained) else "no variance"
            axis.set_label_text(f"component {k + 1} ({share})")
        axes.set_title(part + (diverged_note(result.diverged_at) if p == 0 else ""))
    title = {
        "pooled": "All paths on common components",
        "own": "Each path on components of its own, its end at 0",
    }[which]
    note = "hollow: start, filled: end; legend: test accuracy at the end"
    plot.header(fig, title, note, (panels[0],), columns=LEGEND_COLUMNS)
    return fig


def _draw_path(axes: Axes, path: Array, s: int, label: str | None, *, comparable: bool) -> None:
    """Draw one path (n, 2), hollow at the start and filled at the end.

    comparable: the path is on components of its own, whose signs are arbitrary, and chosen so that paths look alike.
    """
    color = style.COLORS[s % len(style.COLORS)]
    path = np.nan_to_num(path)  # a path of two points has one component; the other is zero
    if comparable:  # the start to the left, the bend upwards
        path = path * np.where([path[0, 0] > 0, path[np.abs(path[:, 1]).argmax(), 1] < 0], -1, 1)
    axes.plot(*path.T, color=color, marker=".", markersize=5, linewidth=1.1, label=label)
    axes.plot(*path[0], marker="o", markersize=8, color=color, markerfacecolor="white")
    axes.plot(*path[-1], marker="o", markersize=8, color=color)


def _scree_figure(settings: Settings, result: Result) -> Figure:
    fig, panels = plot.panels(2, height=4.3, head=plot.header_height(3, 3, title=True))
    shown, n = min(COMPONENTS, max(result.own_explained.shape[-1], 1)), len(result.epochs)
    for p, (axes, part) in enumerate(zip(panels, settings.parts(), strict=True)):
        curves = [
            ("each path alone", result.own_explained[p][:, :shown]),
            ("all paths together", result.pooled_explained[p][None, :shown]),
            (f"random walk of {n} points", random_walk_shares(n)[None, :shown]),
        ]
        for k, (label, values) in enumerate(curves):
            x = np.arange(1, values.shape[-1] + 1)
            plot.band(axes, x, values, label, k, marker=style.MARKERS[k], markersize=4)
        axes.set(xlabel="component k", ylabel="share of variance", title=part)
        scales.positive_log(axes, 1e-6)
        scales.whole_numbers(axes)
    statistic = f"median of {settings.seeds} seeds, min to max" if settings.seeds > 1 else "one seed"
    plot.header(fig, "Share of the variance of each component", statistic, (panels[0],), columns=3)
    return fig
