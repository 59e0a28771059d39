"""The figures and the animation of `simulate`."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from matplotlib.figure import Figure

from dlhw.datasets import functions
from dlhw.errors import UserError
from dlhw.experiments.simulate.findings import tuning_of
from dlhw.experiments.simulate.spec import Result, Settings
from dlhw.models import architectures
from dlhw.present import plot, scales, stopping, style
from dlhw.present.numbers import diverged_note
from dlhw.present.section import ComparisonCurves, Curve
from dlhw.present.tables import statistic_of_figures
from dlhw.present.tuning import tuning_figure


def figures(settings: Settings, result: Result) -> dict[str, Figure]:
    """Return the figures. `loss`: MSE against epoch. `fit`: predictions and truth, with residuals below.

    With `tune`, `tuning`: MSE against learning rate.
    """
    shown = {"loss": _loss_figure(settings, result), "fit": _fit_figure(settings, result)}
    title = f"Tuning on {functions.formula(settings.func)}: training error at every rate"
    if tuned := tuning_of(settings, result):
        shown["tuning"] = tuning_figure(tuned[0], title)
    return shown


def _labels(settings: Settings, result: Result) -> list[str]:
    nets = [architectures.parse(net) for net in settings.models]
    rates = [""] * len(nets) if result.tuned_rate is None else [f", rate {rate:g}" for rate in result.tuned_rate]
    return [
        f"{net}: {len(w) + 1} layers, {architectures.count(w)} parameters{rate}"
        for net, w, rate in zip(settings.models, nets, rates, strict=True)
    ]


def _loss_figure(settings: Settings, result: Result) -> Figure:
    fig, (axes,) = plot.figure(height=4.3, head=plot.header_height(len(settings.models)))
    epochs = np.arange(settings.epochs + 1)
    width = 1
    for k, label in enumerate(_labels(settings, result)):
        stops = None if result.stopped_at is None else result.stopped_at[k]
        x, values, width = plot.thin(epochs, stopping.drawn(result.loss[k], stops))
        plot.band(axes, x, values, label + diverged_note(result.diverged_at[k]), k)
        if stops is not None:
            marks = {"marker": style.MARKERS[k % len(style.MARKERS)], "color": style.curve_style(k)["color"]}
            axes.plot(stops[stops >= 0], result.loss[k, stops >= 0, stops[stops >= 0]], linestyle="", **marks)
    scales.positive_log(axes, 1e-12)
    smoothed = f"; each point the median of {width} epochs" if width > 1 else ""
    note = "" if result.stopped_at is None else "; markers: a training stops"
    axes.set(xlabel="epoch (one full-batch step)", ylabel="training MSE", xlim=(0, settings.epochs))
    plot.header(
        fig,
        f"Training error on {functions.formula(settings.func)}",
        statistic_of_figures(settings.seeds) + smoothed + note,
        (axes,),
    )
    return fig


def _fit_figure(settings: Settings, result: Result) -> Figure:
    fig, (top, bottom) = plot.figure(
        2, height=5.7, heights=(2.2, 1.0), head=plot.header_height(len(settings.models) + 1)
    )
    final = stopping.at_end(result.loss, stopping.last_epochs(result.stopped_at, result.loss))
    top.plot(result.x, result.y, color=style.TRUTH, linewidth=3.2, alpha=0.32, label="target")
    for k, label in enumerate(_labels(settings, result)):
        order = np.argsort(final[k], kind="stable")
        order = order[result.diverged_at[k][order] < 0]
        if not len(order):
            continue
        line = style.curve_style(k)
        for axes, shift in ((top, 0.0), (bottom, result.y)):
            for s in order:
                axes.plot(result.x, result.prediction[k, s] - shift, color=line["color"], linewidth=0.7, alpha=0.35)
            median = result.prediction[k, order[(len(order) - 1) // 2]]
            axes.plot(result.x, median - shift, label=label, **line)
    top.set_ylabel("f(x)" if settings.scale == "raw" else "f(x) / max |f|")
    bottom.axhline(0, color=style.TRUTH, linewidth=0.8)
    bottom.set(xlabel="x", ylabel="prediction − target", xlim=settings.domain)
    most = "" if result.stopped_at is None else "at most "
    plot.header(
        fig,
        f"{functions.formula(settings.func)} after {most}{settings.epochs} epochs",
        "bold: the seed of median loss; thin: the others" if settings.seeds > 1 else "one seed",
        (top,),
    )
    return fig


def animation(settings: Settings, result: Result) -> tuple[Callable[[int], Figure], int]:
    """Animate the fit of the first seed over the epochs; UserError if the run did not record it."""
    frames, epochs = result.frames, settings.frames()
    if frames is None:
        raise UserError(
            "this run has not recorded its fit over the epochs; run it again with `animate` and `overwrite`"
        )
    x, y = result.x[::5], result.y

    def draw(k: int) -> Figure:
        fig, (axes,) = plot.figure(height=3.9, head=0.95)
        axes.plot(result.x, y, color=style.TRUTH, linewidth=3.2, alpha=0.32, label="target")
        for i, label in enumerate(_labels(settings, result)):
            axes.plot(x, frames[i, k], label=label, **style.curve_style(i))
        span = float(y.max() - y.min())
        axes.set(xlabel="x", xlim=settings.domain, ylim=(y.min() - 0.25 * span, y.max() + 0.25 * span))
        axes.set_ylabel("f(x)" if settings.scale == "raw" else "f(x) / max |f|")
        note = f"epoch {epochs[k]:,} of {settings.epochs:,}, first seed"
        plot.header(fig, f"Nets learn {functions.formula(settings.func)}", note, (axes,))
        return fig

    return draw, len(epochs)


def series(settings: Settings, result: Result) -> ComparisonCurves:
    """Return the training error against epoch, one line per net; one that has converged stays at its last value."""
    lines = []
    curves = stopping.held(result.loss, stopping.last_epochs(result.stopped_at, result.loss))
    for net, loss in zip(settings.models, curves, strict=True):
        x, values, _ = plot.thin(np.arange(settings.epochs + 1), loss)
        lines.append(Curve(net, x, values))
    return ComparisonCurves("epoch (one full-batch step)", "training MSE", tuple(lines), log_y=True)
