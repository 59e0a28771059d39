"""The figure of `classify`."""

from __future__ import annotations

from matplotlib.figure import Figure

from dlhw.experiments.classify.spec import Result, Settings
from dlhw.present import curves
from dlhw.present.numbers import diverged_note
from dlhw.present.section import ComparisonCurves
from dlhw.present.tables import statistic_of_figures


def figures(settings: Settings, result: Result) -> dict[str, Figure]:
    """Return the figures. `curves`: loss and error against epoch, training solid, test dashed."""
    labels = [
        f"{net}: {settings.parameters(net):,} parameters" + diverged_note(result.diverged_at[k])
        for k, net in enumerate(settings.models)
    ]
    title = "Nets of different shape learn the same images"
    statistic = statistic_of_figures(settings.seeds)
    statistic += "" if result.stopped_at is None else "; outlined: a training stops"
    figure = curves.curve_figure(result, labels, title, settings.where(), statistic, stopped_at=result.stopped_at)
    return {"curves": figure}


def series(settings: Settings, result: Result) -> ComparisonCurves:
    """Return the test loss against epoch, one line per net."""
    return curves.comparison(settings.models, result, stopped_at=result.stopped_at)
