"""The figures of `simulate` that a reader can move."""

from __future__ import annotations

import numpy as np

from dlhw.experiments.simulate.findings import measures
from dlhw.experiments.simulate.spec import Result, Settings
from dlhw.models import architectures
from dlhw.present import stopping
from dlhw.present.interactive import (
    MISTAKE,
    MOST,
    RIGHT,
    Axis,
    InteractiveFigure,
    Line,
    Panel,
    TypedNumbers,
    mistake_and_right,
    thinned,
)
from dlhw.present.numbers import diverged_note, format_median_range, format_number
from dlhw.present.tables import statistic_of_figures


def interactive(settings: Settings, result: Result) -> dict[str, InteractiveFigure]:
    """Return `loss`, with the last epoch of one seed as the mistake, and `fit`."""
    return {"loss": _loss(settings, result), "fit": _fit(settings, result)}


def _labels(settings: Settings) -> list[str]:
    return [f"{net}: {architectures.count(architectures.parse(net))} parameters" for net in settings.models]


def _loss(settings: Settings, result: Result) -> InteractiveFigure:
    epochs, lines = np.arange(settings.epochs + 1), []
    every = -(-len(epochs) // MOST)
    at = np.unique(np.append(epochs[::every], epochs[-1]))
    for k, label in enumerate(_labels(settings)):
        drawn = stopping.drawn(result.loss[k], None if result.stopped_at is None else result.stopped_at[k])
        name = label + diverged_note(result.diverged_at[k])
        lines.append(thinned(name, epochs, drawn, color=k, dash=k, view=RIGHT))
        one = result.loss[k, 0, at].astype(np.float64)
        lines.append(Line(f"{label}, seed {settings.seed}", at, one, color=k, view=MISTAKE))
    measured = measures(settings, result)
    last = _listed(settings, [format_number(v) for v in measured["final_mse"][:, 0]])
    late = _listed(settings, [format_median_range(v) for v in measured["late_mse"]])
    smoothed = f"; each point the median of {every} epochs" if every > 1 else ""
    return InteractiveFigure(
        (
            Panel(
                Axis("epoch (one full-batch step)"),
                Axis("training MSE", True, 1e-12),
                tuple(lines),
                typed=(TypedNumbers("loss", "step", "value"),),
            ),
        ),
        "epoch",
        views=mistake_and_right(
            (
                "Usual mistake: one seed, last epoch",
                f"One seed as it is, and its last epoch as the result: {last}.",
            ),
            (
                "Right: all seeds, last 5 %",
                f"Median over the last 5 % of the epochs, median over seeds with range: {late}. "
                f"Drawn: {statistic_of_figures(settings.seeds)}{smoothed}.",
            ),
        ),
        own="epoch, training MSE",
    )


def _listed(settings: Settings, values: list[str]) -> str:
    return ", ".join(f"{net} {value}" for net, value in zip(settings.models, values, strict=True))


def _fit(settings: Settings, result: Result) -> InteractiveFigure:
    """Return target, and predictions of the seed of median loss, on points of the dense grid; residuals below."""
    every = -(-len(result.x) // MOST)
    x, y = result.x[::every], result.y[::every]
    top, bottom = [Line("target", x, y, color=7)], []
    for k, label in enumerate(_labels(settings)):
        last = stopping.last_epochs(None if result.stopped_at is None else result.stopped_at[k], result.loss[k])
        order = np.argsort(stopping.at_end(result.loss[k], last), kind="stable")
        order = order[result.diverged_at[k][order] < 0]
        if len(order):
            median = result.prediction[k, order[(len(order) - 1) // 2], ::every].astype(np.float64)
            top.append(Line(label, x, median, color=k, dash=k))
            bottom.append(Line(label, x, median - y, color=k, dash=k))
    panels = [_panel("f(x)" if settings.scale == "raw" else "f(x) / max |f|", top)]
    panels += [_panel("prediction − target", bottom, ((0.0, ""),))] if bottom else []
    return InteractiveFigure(
        tuple(panels), "x", start=len(x) // 2, statistic="the seed of median loss", own="x, value", columns=1
    )


def _panel(name: str, lines: list[Line], levels: tuple[tuple[float, str], ...] = ()) -> Panel:
    return Panel(Axis("x"), Axis(name), tuple(lines), levels=levels)
