"""The figure of all ways from A to B: the line, the line after alignment, the curve."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from dlhw.experiments.interpolate.path_findings import LABELS, barriers, curves_of
from dlhw.experiments.interpolate.spec import Result, Settings, parse
from dlhw.present import plot, style
from dlhw.present.interactive import Axis, InteractiveFigure, Line, Panel, over_seeds
from dlhw.present.numbers import diverged_note
from dlhw.present.tables import statistic_of_figures

WAYS = ("line", "aligned", "curve")


def is_measured(result: Result) -> bool:
    """Whether there is another way than the line."""
    return any(curves_of(result, way) is not None for way in WAYS[1:])


def figure(settings: Settings, result: Result) -> Figure:
    """Return loss, accuracy and heights of the barriers, one column per pair."""
    columns = len(settings.by)
    fig, axes = plot.panels(columns, rows=3, height=8.6, head=1.2)
    fig.subplots_adjust(hspace=0.34)
    for r, text in enumerate(settings.by):
        losses, accuracies, heights = axes[r::columns]
        for k, way in enumerate(WAYS):
            _draw(losses, accuracies, result, r, way, k)
        what, (a, b) = parse(text)
        losses.set_title(f"{what.axis}: {what.text(a)} to {what.text(b)}{diverged_note(result.diverged_at[r])}")
        for one, label in ((losses, "cross entropy (nats)"), (accuracies, "accuracy (%)")):
            one.set(xlabel="from A (0) to B (1)", ylabel=label, xlim=(0, 1))
        losses.set_ylim(bottom=0)
        _heights(heights, result, r)
    start = "A and B start from weights of their own" if settings.own_start else "A and B start from the same weights"
    note = f"{start}; training solid, test dashed; {statistic_of_figures(settings.seeds)}"
    plot.header(fig, f"Ways between two nets on {settings.where()}", note, (axes[0],), columns=4)
    return fig


def _draw(losses: Axes, accuracies: Axes, result: Result, r: int, way: str, k: int) -> None:
    measured = curves_of(result, way)
    if measured is None:
        return
    positions, values = measured
    inside = (positions >= 0) & (positions <= 1)
    for axes, kind, scale in ((losses, "loss", 1.0), (accuracies, "accuracy", 100.0)):
        for which, dashes in (("train", "-"), ("test", style.TEST_DASHES)):
            shown = scale * values[f"{which}_{kind}"][r][:, inside]
            label = LABELS[way] if (which, kind) == ("train", "loss") else ""
            plot.band(axes, positions[inside], shown, label, k, color=style.COLORS[k], linestyle=dashes)
    if way == "line":  # the chord, over which one of the two barriers is measured
        ends = [np.nanmedian(values["train_loss"][r][:, positions == alpha]) for alpha in (0.0, 1.0)]
        losses.plot((0, 1), ends, color=style.TRUTH, linewidth=0.8, linestyle=":", label="chord")


def _heights(axes: Axes, result: Result, r: int) -> None:
    """Draw the barriers of the training loss by both definitions, a dot for every seed."""
    ways = [way for way in WAYS if curves_of(result, way) is not None]
    for k, (name, label, shift) in enumerate(
        (
            ("train_barrier_over_mean", "over the mean of the ends", -0.12),
            ("train_barrier_over_chord", "over the chord", 0.12),
        )
    ):
        rows = []
        for way in ways:
            positions, values = curves_of(result, way) or (np.array([]), {})
            rows.append(barriers(positions, {key: v[r] for key, v in values.items()})[name])
        plot.scatter_with_median(axes, np.arange(len(ways)) + shift, np.array(rows), label, k + 3, linestyle="")
    axes.axhline(0, color=style.TRUTH, linewidth=0.8)
    axes.set_ylim(top=1.35 * axes.get_ylim()[1])  # room for the legend
    axes.set(ylabel="training barrier (nats)", xlim=(-0.5, len(ways) - 0.5))
    axes.set_xticks(range(len(ways)), [LABELS[way] for way in ways])
    axes.grid(False, axis="x")
    plot.legend(axes, loc="upper right")


def interactive(settings: Settings, result: Result) -> InteractiveFigure:
    """Return loss and accuracy of all ways, read at a position."""
    panels = []
    for kind, scale, axis in (
        ("loss", 1.0, Axis("cross entropy (nats)", low=0.0)),
        ("accuracy", 100.0, Axis("accuracy (%)", low=0.0, high=100.0)),
    ):
        for r, text in enumerate(settings.by):
            what, (a, b) = parse(text)
            lines: list[Line] = []
            for k, way in enumerate(WAYS):
                positions, values = curves_of(result, way) or (np.array([]), {})
                inside = (positions >= 0) & (positions <= 1)
                lines += [
                    over_seeds(
                        f"{LABELS[way]}, {which}",
                        positions[inside],
                        scale * values[f"{which}_{kind}"][r][:, inside],
                        color=k,
                        dash=dash,
                    )
                    for dash, which in enumerate(("train", "test"))
                    if values
                ]
            title = f"{what.axis}: {what.text(a)} to {what.text(b)}"
            panels.append(Panel(Axis("from A to B"), axis, tuple(lines), title=title))
    middle = int(np.abs(settings.between - 0.5).argmin())
    return InteractiveFigure(
        tuple(panels),
        "position",
        positions=settings.between,
        start=middle,
        columns=len(settings.by),
        statistic=statistic_of_figures(settings.seeds),
    )
