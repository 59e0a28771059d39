"""The animation of `trajectory`: the paths, growing."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from matplotlib.figure import Figure

from dlhw.experiments.trajectory.paths import points_of
from dlhw.experiments.trajectory.spec import Result, Settings
from dlhw.present import plot, style

BETWEEN = 4  # frames from one point of a path to the next


def animation(settings: Settings, result: Result) -> tuple[Callable[[int], Figure], int]:
    """Animate the paths in the plane of `pooled`, interpolated linearly between recorded points."""
    by_tsne = settings.reduce == "tsne"
    names = ("t-SNE 1 (no unit)", "t-SNE 2 (no unit)") if by_tsne else ("component 1", "component 2")
    plane = "t-SNE: distances mean nothing" if by_tsne else "components of all trainings together"

    def draw(k: int) -> Figure:
        fig, panels = plot.panels(2, height=4.7, head=1.35)
        whole, between = divmod(k, BETWEEN)
        for p, (axes, part) in enumerate(zip(panels, settings.parts(), strict=True)):
            for s, path in enumerate(points_of(result)[p]):
                if not np.isfinite(path).any():
                    continue
                path, color = np.nan_to_num(path), style.COLORS[s % len(style.COLORS)]
                grown = path[: whole + 1]
                if between:
                    grown = np.vstack([grown, path[whole] + between / BETWEEN * (path[whole + 1] - path[whole])])
                axes.plot(*path.T, linestyle="", color=color)  # holds the limits of the axes where they end
                axes.plot(*grown.T, color=color, linewidth=1.3, label=f"seed {settings.seed + s}")
                axes.plot(*grown[0], marker="o", markersize=7, color=color, markerfacecolor="white")
                axes.plot(*grown[-1], marker="o", markersize=7, color=color)
            axes.set(xlabel=names[0], ylabel=names[1], title=part)
        epoch = f"epoch {result.epochs[whole]} of {result.epochs[-1]}"
        note = f"{epoch}; {plane}; hollow: start"
        plot.header(fig, f"Weights on their way, {settings.where()}", note, (panels[0],), columns=4)
        return fig

    return draw, (len(result.epochs) - 1) * BETWEEN + 1
