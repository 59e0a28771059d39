"""The figure of `classify`."""

from __future__ import annotations

from matplotlib.figure import Figure

from dlhw.experiments.classify.findings import tuning_of
from dlhw.experiments.classify.spec import Result, Settings
from dlhw.present import curves, interactive_curves
from dlhw.present.interactive import InteractiveFigure
from dlhw.present.numbers import diverged_note
from dlhw.present.section import ComparisonCurves
from dlhw.present.tables import statistic_of_figures
from dlhw.present.tuning import tuning_figure


def _labels(settings: Settings, result: Result) -> list[str]:
    rates = [""] * len(settings.models) if result.tuned_rate is None else [f", rate {r:g}" for r in result.tuned_rate]
    return [
        f"{net}: {settings.parameters(net):,} parameters{rates[k]}" + diverged_note(result.diverged_at[k])
        for k, net in enumerate(settings.models)
    ]


def figures(settings: Settings, result: Result) -> dict[str, Figure]:
    """Return the figures. `curves`: loss and error against epoch, training solid, test dashed.

    With `tune`, `tuning`: validation loss against learning rate.
    """
    title = "Nets of different shape learn the same images"
    statistic = statistic_of_figures(settings.seeds)
    statistic += "" if result.stopped_at is None else "; outlined: a training stops"
    figure = curves.curve_figure(
        result, _labels(settings, result), title, settings.where(), statistic, stopped_at=result.stopped_at
    )
    shown = {"curves": figure}
    if tuned := tuning_of(settings, result):
        shown["tuning"] = tuning_figure(tuned[0], f"Tuning on {settings.data}: validation loss at every rate")
    return shown


def series(settings: Settings, result: Result) -> ComparisonCurves:
    """Return the test loss against epoch, one line per net."""
    return curves.comparison(settings.models, result, stopped_at=result.stopped_at)


def interactive(settings: Settings, result: Result) -> dict[str, InteractiveFigure]:
    """Return `curves` for the page of a report."""
    labels, statistic = _labels(settings, result), statistic_of_figures(settings.seeds)
    return {"curves": interactive_curves.learning_curves(result, labels, statistic, stopped_at=result.stopped_at)}
