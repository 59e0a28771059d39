"""The figures of `trajectory`."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

from dlhw.experiments.trajectory.paths import paths_figure
from dlhw.experiments.trajectory.spec import Result, Settings
from dlhw.measure.principal_components import random_walk_shares
from dlhw.present import plot, scales, style
from dlhw.present.section import ComparisonCurves, Curve

COMPONENTS = 10  # of a scree plot


def figures(settings: Settings, result: Result) -> dict[str, Figure]:
    """Return the figures. `pooled`: all paths on common components. `own`: each on its own. `scree`: the variances."""
    return {
        "pooled": paths_figure(settings, result, "pooled"),
        "own": paths_figure(settings, result, "own"),
        "scree": _scree_figure(settings, result),
    }


def series(settings: Settings, result: Result) -> ComparisonCurves:
    """Return the test loss against epoch."""
    line = Curve("test loss", np.arange(settings.epochs + 1), result.test_loss)
    return ComparisonCurves("epoch", "test cross entropy (nats)", (line,), log_y=True)


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
