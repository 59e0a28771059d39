"""The figures of `landscape` that a reader can move."""

from __future__ import annotations

import numpy as np

from dlhw.experiments.landscape import page, view
from dlhw.experiments.landscape.spec import Result, Settings
from dlhw.present.interactive import (
    MISTAKE,
    RIGHT,
    Axis,
    EmbeddedPage,
    InteractiveFigure,
    Line,
    Panel,
    mistake_and_right,
)


def interactive(settings: Settings, result: Result) -> dict[str, InteractiveFigure]:
    """Return `surface`, which opens its page, and `path` or `line`, whose curves are read."""
    if settings.is_line:
        return {"line": _line(settings, result)}
    figures = {}
    data = page.as_json(settings, result, page.EMBEDDED_DIGITS)
    if data:
        embedded = EmbeddedPage(page.code(), view.title(settings), page.note(settings), data)
        figures["surface"] = InteractiveFigure((), page=embedded)
    if settings.plane == "path" and (result.diverged_at < 0).any():
        figures["path"] = _path(result)
    return figures


def _line(settings: Settings, result: Result) -> InteractiveFigure:
    lines = [
        Line(label, result.a[m], result.loss[m, :, 0], color=m, dash=m)
        for m, label in enumerate(result.labels)
        if result.diverged_at[m] < 0
    ]
    marks = ((0.0, "end"), (1.0, "start")) if settings.plane == "start-end" else ((0.0, "net"),)
    panel = Panel(Axis("a"), Axis("loss", True, 1e-12), tuple(lines), marks=marks)
    return InteractiveFigure((panel,), "a", start=0, statistic=settings.where(), own="a, loss")


def _path(result: Result) -> InteractiveFigure:
    loss, away = [], []
    for m, label in enumerate(result.labels):
        if result.diverged_at[m] >= 0:
            continue
        loss.append(Line(f"{label}: at the weights", result.steps, result.mark_loss[m], color=m, view=RIGHT))
        plane = result.plane_loss[m]
        loss.append(Line(f"{label}: in the plane", result.steps, plane, color=m, dash=1, view=MISTAKE))
        away.append(Line(f"{label}: off the plane", result.steps, result.away[m], color=m))
    x, far = Axis("epoch"), max(float(np.nanmax(line.y)) for line in away)
    return InteractiveFigure(
        (
            Panel(x, Axis("loss", True, 1e-12), tuple(loss)),
            Panel(x, Axis("distance from the plane", low=0.0, high=far or None), tuple(away)),
        ),
        "epoch",
        views=mistake_and_right(
            (
                "Usual mistake: loss of the contour",
                "The loss that the contour has where the path is drawn: that of the nearest point of the plane, not of "
                "the weights.",
            ),
            ("Right: loss at the weights", "The loss of the net itself at that epoch."),
        ),
        own="epoch, loss",
    )
