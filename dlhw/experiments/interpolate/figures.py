"""The figure of `interpolate`."""

from __future__ import annotations

from matplotlib.figure import Figure

from dlhw.experiments.interpolate import path_figures
from dlhw.experiments.interpolate.spec import Result, Settings, parse
from dlhw.present import plot, scales, style
from dlhw.present.numbers import diverged_note
from dlhw.present.section import ComparisonCurves, Curve
from dlhw.present.tables import statistic_of_figures


def figures(settings: Settings, result: Result) -> dict[str, Figure]:
    """Return the figures. `line`: loss (log, left) and accuracy (right) against alpha, one panel per pair.

    `paths`, where alignment or curves were measured: all ways from A to B on one axis, and the heights of the barriers.
    """
    fig, axes = plot.panels(len(settings.by), height=4.6, right=True, head=1.2)
    twins = []
    for r, (text, loss_axes) in enumerate(zip(settings.by, axes, strict=True)):
        right = plot.twin(loss_axes, "accuracy (%)", 1)
        twins.append(right)
        for side, kind, scale, k in ((loss_axes, "loss", 1.0, 0), (right, "accuracy", 100.0, 1)):
            for which, dashes in (("train", "-"), ("test", style.TEST_DASHES)):
                values = scale * getattr(result, f"{which}_{kind}")[r]
                color = style.COLORS[k]
                plot.band(side, result.alphas, values, f"{kind}, {which}", k, color=color, linestyle=dashes)
        scales.positive_log(loss_axes, 1e-7)
        right.set_ylim(0, 104)
        what, (a, b) = parse(text)
        for alpha, name, value in ((0.0, "A", a), (1.0, "B", b)):
            plot.labelled_vline(loss_axes, alpha, f"{name}: {what.text(value)}")
        loss_axes.set(xlabel="α", ylabel="cross entropy (nats)", xlim=(result.alphas[0], result.alphas[-1]))
        loss_axes.set_title(f"{what.axis}: {what.text(a)} to {what.text(b)}{diverged_note(result.diverged_at[r])}")
    start = "A and B start from weights of their own" if settings.own_start else "A and B start from the same weights"
    title = f"Along the line between two nets on {settings.where()}"
    plot.header(fig, title, f"{start}; {statistic_of_figures(settings.seeds)}", (axes[0], twins[0]))
    others = {"paths": path_figures.figure(settings, result)} if path_figures.is_measured(result) else {}
    return {"line": fig, **others}


def series(settings: Settings, result: Result) -> ComparisonCurves:
    """Return the training loss against alpha, one line per pair."""
    lines = tuple(Curve(text, result.alphas, result.train_loss[k]) for k, text in enumerate(settings.by))
    return ComparisonCurves("α", "training cross entropy (nats)", lines, log_y=True, at=(0.0, 0.5, 1.0))
