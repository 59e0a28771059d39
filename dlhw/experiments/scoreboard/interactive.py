"""The scatter of the scoreboard, which a reader can move through."""

from __future__ import annotations

import numpy as np

from dlhw.experiments.scoreboard.axes import AXES
from dlhw.experiments.scoreboard.figures import most_telling
from dlhw.experiments.scoreboard.ranking import gaps, ranking, signed
from dlhw.experiments.scoreboard.spec import Result, Settings
from dlhw.present.interactive import Axis, InteractiveFigure, Line, Panel


def interactive(settings: Settings, result: Result) -> dict[str, InteractiveFigure]:
    """Return `scatter`: a panel for every measure, with every net as a point, read point by point."""
    gap, _ = gaps(settings, result)
    axis = most_telling(settings, result)
    levels = np.broadcast_to(settings.levels[:, AXES.index(axis)][:, None], gap.shape)
    panels = []
    for row in ranking(settings, result):
        lines = []
        for level, value in enumerate(getattr(settings, axis.field)):
            mine = levels == level
            points = row.values[mine], gap[mine]
            lines.append(Line(f"{axis.name} {value:g}", *points, color=level % 8, dash=0, joined=False))
        finite = row.values[np.isfinite(row.values)]
        log = row.measure.log and len(finite) > 0 and bool(finite.min() > 0)
        title = f"{row.name}: τ = {signed(row.tau.value)}"
        panels.append(Panel(Axis(row.name, log), Axis("gap (nats)"), tuple(lines), title))
    return {
        "scatter": InteractiveFigure(
            tuple(panels),
            "point",
            mode="point",
            columns=2,
            statistic="one dot a net in every panel, no statistic; τ: Kendall's rank correlation with the gap",
            chart_first=False,
        )
    }
