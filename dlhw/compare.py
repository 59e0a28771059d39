"""Runs of one experiment under different settings, on shared axes and in one table."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from dlhw import experiments, plot
from dlhw.errors import require
from dlhw.section import Line, Series
from dlhw.settings import label, text
from dlhw.summary import Summary, spread


def compare(runs: Sequence[experiments.Run], names: Sequence[str]) -> tuple[Figure, Summary]:
    """The figure of all runs on shared axes, and a table: what their settings differ in, and where each curve ends.

    Raises UserError for fewer than two runs, for runs of different experiments, and for an experiment that offers no
    `series(settings, result)`.
    """
    require(len(runs) > 1, "compare needs at least two runs")
    kinds = list(dict.fromkeys(run.experiment for run in runs))
    require(len(kinds) == 1, f"compare takes runs of one experiment, not of {' and '.join(kinds)}")
    module = experiments.get(kinds[0])
    require(hasattr(module, "series"), f"{kinds[0]} has no curves that could be compared")
    found = [module.series(run.settings, run.result) for run in runs]
    differing = _differing(runs)
    return _figure(found, [_short(run, differing, n) for run, n in zip(runs, names, strict=True)]), _table(
        kinds[0], runs, found, differing, names
    )


def _differing(runs: Sequence[experiments.Run]) -> list[dataclasses.Field[Any]]:
    """The settings whose values are not all the same."""
    fields = dataclasses.fields(runs[0].settings)
    return [f for f in fields if len({repr(getattr(run.settings, f.name)) for run in runs}) > 1]


def _short(run: experiments.Run, differing: Sequence[dataclasses.Field[Any]], name: str) -> str:
    """What tells this run from the others."""
    told = [f"{f.name}={text(getattr(run.settings, f.name))}" for f in differing]
    return ", ".join(told) if told and sum(map(len, told)) <= 60 else name


def _figure(found: Sequence[Series], names: Sequence[str]) -> Figure:
    first = found[0]
    lines = sum(len(series.lines) for series in found)
    made, (axes,) = plot.figure(height=3.6 + 0.2 * lines, head=0.55 + 0.2 * lines)
    labels = list(dict.fromkeys(line.label for series in found for line in series.lines))
    for k, (series, name) in enumerate(zip(found, names, strict=True)):
        for line in series.lines:
            # One curve a run: a colour a run. Several: a colour a curve, dashes tell the runs.
            color = plot.COLORS[(k if len(labels) == 1 else labels.index(line.label)) % len(plot.COLORS)]
            what = name if len(labels) == 1 else f"{line.label} · {name}"
            look = {"color": color, "linestyle": plot.DASHES[k % len(plot.DASHES)]}
            plot.band(axes, line.x, line.values, what, k, **look)
    if first.log_x:
        axes.set_xscale("log")
    if first.log_y:
        plot.positive_log(axes, 1e-12)
    axes.set(xlabel=first.x_label, ylabel=first.y_label)
    plot.header(made, "Runs compared", "median, band from min to max over seeds", (axes,), columns=1)
    return made


def _table(
    kind: str,
    runs: Sequence[experiments.Run],
    found: Sequence[Series],
    differing: Sequence[dataclasses.Field[Any]],
    names: Sequence[str],
) -> Summary:
    columns = ("", *names)
    rows = [(label(f), *(text(getattr(run.settings, f.name)) for run in runs)) for f in differing]
    for wanted in dict.fromkeys(line.label for series in found for line in series.lines):
        same = [[line for line in series.lines if line.label == wanted] for series in found]
        rows += _read(found[0], wanted, [lines[0] if lines else None for lines in same], found)
    versions = {str(run.environment["versions"].get("dlhw")) for run in runs}
    devices = {str(run.environment["device"]) for run in runs}
    said = ["Median over seeds, with minimum and maximum; ranges that overlap separate nothing."]
    if not differing:
        said.append("All settings are the same.")
    if len(versions) > 1 or len(devices) > 1:
        said.append("The runs were made by different versions or on different devices.")
    return Summary(f"{kind}: what differs", columns, tuple(rows), tuple(said))


def _read(first: Series, wanted: str, lines: Sequence[Line | None], found: Sequence[Series]) -> list[tuple[str, ...]]:
    """Rows of one curve of every run: at the places that the experiment names, else at the end."""
    what = f"{wanted}: {first.y_label} at {first.x_label}"
    places = sorted({at for series in found for at in series.at})
    if not places:
        ends = {f"{line.x[-1]:g}" for line in lines if line is not None}
        where = f" = {ends.pop()}" if len(ends) == 1 else ", the last of each"
        return [(what + where, *("–" if line is None else spread(line.values[:, -1]) for line in lines))]
    return [(f"{what} = {at:g}", *(_cell(line, at) for line in lines)) for at in places]


def _cell(line: Line | None, at: float) -> str:
    """The curve at its point nearest to `at`; a dash where the curve does not reach that far."""
    if line is None or not len(line.x):
        return "–"
    away = np.abs(np.asarray(line.x, float) - at)
    near = float(np.median(np.diff(np.sort(line.x)))) if len(line.x) > 1 else 0.0
    exact = 1e-9 * max(1.0, abs(at))
    if not np.isfinite(away).any() or np.nanmin(away) > max(near if len(line.x) > 10 else 0.0, exact):
        return "–"
    return spread(line.values[:, int(np.nanargmin(away))])
