"""Runs of one experiment under different settings, on shared axes and in one table."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from dlhw.errors import UserError, require
from dlhw.present import plot, scales, style
from dlhw.present.findings import Finding
from dlhw.present.numbers import NONE, format_median_range
from dlhw.present.section import ComparisonCurves, Curve
from dlhw.present.tables import Summary
from dlhw.runs.run import Run
from dlhw.runs.settings import text

Field = dataclasses.Field[Any]


def compare(runs: Sequence[Run], names: Sequence[str]) -> tuple[Figure, Summary]:
    """Return the figure of all runs on shared axes, and a table: what differs, and where each curve ends.

    Args:
        runs: at least two runs of one experiment.
        names: of the runs.

    Raises:
        UserError: for fewer than two runs, for runs of different experiments, and for an experiment without `series`.
    """
    require(len(runs) > 1, "compare needs at least two runs")
    kinds = list(dict.fromkeys(run.experiment for run in runs))
    require(len(kinds) == 1, f"compare takes runs of one experiment, not of {' and '.join(kinds)}")
    series = runs[0].definition.series
    if series is None:
        raise UserError(f"{kinds[0]} has no curves to compare")
    curves = [series(run.settings, run.result) for run in runs]
    differing = _differing(runs)
    labels = [_short(run, differing, name) for run, name in zip(runs, names, strict=True)]
    return _figure(curves, labels), _table(kinds[0], runs, curves, differing, names)


def _differing(runs: Sequence[Run]) -> list[Field]:
    """Return the settings whose values are not all the same."""
    fields = dataclasses.fields(runs[0].settings)
    return [f for f in fields if len({repr(getattr(run.settings, f.name)) for run in runs}) > 1]


def _short(run: Run, differing: Sequence[Field], name: str) -> str:
    """Return what tells this run from the others."""
    values = [f"{f.name}={text(getattr(run.settings, f.name))}" for f in differing]
    return ", ".join(values) if values and sum(map(len, values)) <= 60 else name


def _figure(runs: Sequence[ComparisonCurves], names: Sequence[str]) -> Figure:
    first = runs[0]
    count = sum(len(run.curves) for run in runs)
    fig, (axes,) = plot.figure(height=3.6 + 0.2 * count, head=0.55 + 0.2 * count)
    labels = list(dict.fromkeys(curve.label for run in runs for curve in run.curves))
    for k, (run, name) in enumerate(zip(runs, names, strict=True)):
        for curve in run.curves:
            # One curve per run: a colour per run. Several: a colour per curve, and dashes tell the runs apart.
            color = style.COLORS[(k if len(labels) == 1 else labels.index(curve.label)) % len(style.COLORS)]
            what = name if len(labels) == 1 else f"{curve.label} · {name}"
            dashes = style.DASHES[k % len(style.DASHES)]
            plot.band(axes, curve.x, curve.values, what, k, color=color, linestyle=dashes)
    if first.log_x:
        axes.set_xscale("log")
    if first.log_y:
        scales.positive_log(axes, 1e-12)
    axes.set(xlabel=first.x_label, ylabel=first.y_label)
    plot.header(fig, "Runs compared", "median, band from min to max over seeds", (axes,), columns=1)
    return fig


def _table(
    kind: str,
    runs: Sequence[Run],
    curves: Sequence[ComparisonCurves],
    differing: Sequence[Field],
    names: Sequence[str],
) -> Summary:
    rows: list[tuple[str, ...]] = [
        (runs[0].definition.label(f), *(text(getattr(run.settings, f.name)) for run in runs)) for f in differing
    ]
    for wanted in dict.fromkeys(curve.label for run in curves for curve in run.curves):
        same = [[curve for curve in run.curves if curve.label == wanted] for run in curves]
        rows += _readings(curves, wanted, [values[0] if values else None for values in same])
    versions = {str(run.environment["versions"].get("dlhw")) for run in runs}
    devices = {str(run.environment["device"]) for run in runs}
    texts = ["Median over seeds, with minimum and maximum; where ranges overlap, no difference is claimed."]
    if not differing:
        texts.append("All settings are the same.")
    if len(versions) > 1 or len(devices) > 1:
        texts.append("The runs were made by different versions or on different devices.")
    comparisons = tuple(Finding("comparison", sentence) for sentence in texts)
    return Summary(f"{kind}: what differs", ("", *names), tuple(rows), comparisons)


def _readings(runs: Sequence[ComparisonCurves], wanted: str, curves: Sequence[Curve | None]) -> list[tuple[str, ...]]:
    """Return rows of one curve of every run: where the experiment says, else at the end."""
    what = f"{wanted}: {runs[0].y_label} at {runs[0].x_label}"
    places = sorted({at for run in runs for at in run.at})
    if not places:
        ends = {f"{curve.x[-1]:g}" for curve in curves if curve is not None}
        where = f" = {ends.pop()}" if len(ends) == 1 else ", the last of each"
        return [(what + where, *(NONE if c is None else format_median_range(c.values[:, -1]) for c in curves))]
    return [(f"{what} = {at:g}", *(_reading(curve, at) for curve in curves)) for at in places]


def _reading(curve: Curve | None, at: float) -> str:
    """Return the curve at its point nearest to `at`; a dash where the curve does not reach that far."""
    if curve is None or not len(curve.x):
        return NONE
    distance = np.abs(np.asarray(curve.x, float) - at)
    spacing = float(np.median(np.diff(np.sort(curve.x)))) if len(curve.x) > 1 else 0.0
    exact = 1e-9 * max(1.0, abs(at))
    if not np.isfinite(distance).any() or np.nanmin(distance) > max(spacing if len(curve.x) > 10 else 0.0, exact):
        return NONE
    return format_median_range(curve.values[:, int(np.nanargmin(distance))])
