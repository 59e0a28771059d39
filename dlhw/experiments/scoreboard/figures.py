"""The figures of the scoreboard."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator

from dlhw.experiments.scoreboard.axes import AXES, Axis
from dlhw.experiments.scoreboard.ranking import Row, gaps, included, ranking, signed
from dlhw.experiments.scoreboard.spec import Result, Settings
from dlhw.experiments.scoreboard.statistics import Estimate, kendall
from dlhw.present import plot, style
from dlhw.present.numbers import diverged_note
from dlhw.present.section import ComparisonCurves, Curve

MARGIN = 2.5
"""Inches for the names of the measures."""
COLUMNS = 4
"""Panels side by side in the scatter."""
GREY = "#7F7F7F"


def figures(settings: Settings, result: Result) -> dict[str, Figure]:
    """Return the figures: `scoreboard` (every tau), `axes` (granulated tau by setting), `scatter` (all nets)."""
    rows = ranking(settings, result)
    return {
        "scoreboard": _scoreboard(settings, result, rows),
        "axes": _by_axis(settings, result, rows),
        "scatter": _scatter(settings, result, rows),
    }


def series(settings: Settings, result: Result) -> ComparisonCurves:
    """Return the generalization gap of every configuration, in the order of the settings."""
    gap = (result.test_loss - result.train_loss).T  # (S, C)
    curve = Curve("generalization gap", np.arange(gap.shape[1]), gap)
    return ComparisonCurves("configuration", "test loss - training loss (nats)", (curve,), at=(0.0, gap.shape[1] - 1.0))


def _note(settings: Settings, result: Result) -> str:
    count = int(included(settings, result).sum())
    return f"{count} of {result.train_loss.size} nets, trained to a loss of {settings.target_loss:g}"


def _starred(rows: Sequence[Row]) -> tuple[list[str], str]:
    """Return the names of the measures, with a star where it is defined for fewer nets, and what the star means."""
    most = max(row.nets for row in rows)
    names = [row.name if row.nets == most else f"{row.name} *" for row in rows]
    return names, "; *: fewer nets" if any(row.nets < most for row in rows) else ""


def _leave_room_for_names(fig: Figure) -> None:
    """Move the panel to the right, below a header that stays where it is."""
    fig.subplots_adjust(left=style.scaled(MARGIN) / fig.get_figwidth())


def _scoreboard(settings: Settings, result: Result, rows: Sequence[Row]) -> Figure:
    fig, (axes,) = plot.figure(height=0.34 * len(rows) + 1.6, head=1.0)
    at = _places(rows)
    axes.axvline(0, color=style.TRUTH, linewidth=0.8)
    kinds = (
        ("over all nets", [row.tau for row in rows], 0, -0.16),
        ("granulated: nets that differ in one setting", [row.granulated.total for row in rows], 1, 0.16),
    )
    for label, estimates, k, shift in kinds:
        _dots(axes, at + shift, estimates, label, k, [row.is_control for row in rows])
    errors = np.array([row.error_tau.value for row in rows])
    style_: dict[str, Any] = {
        "marker": "|",
        "linestyle": "",
        "color": style.COLORS[2],
        "markersize": 9,
        "markeredgewidth": 1.6,
    }
    axes.plot(errors, at - 0.16, label="over all nets, gap of the error", **style_)
    axes.set(xlim=(-1.02, 1.02), xlabel="Kendall's tau with the generalization gap")
    _names_on(axes, at, rows)
    title = f"Which measure ranks nets as their gap does? {settings.data}{diverged_note(result.diverged_at)}"
    note = f"{_note(settings, result)}{_starred(rows)[1]}; lines: 95 % bootstrap intervals; last: controls"
    plot.header(fig, title, note, (axes,), 2)
    _leave_room_for_names(fig)
    return fig


def _places(rows: Sequence[Row]) -> np.ndarray:
    """Return the vertical place of every row, with room above the controls."""
    return np.arange(len(rows)) + 0.6 * np.array([row.is_control for row in rows])


def _names_on(axes: Axes, at: np.ndarray, rows: Sequence[Row]) -> None:
    axes.set_yticks(at, labels=_starred(rows)[0])
    axes.set_ylim(at[-1] + 0.6, -0.6)
    for label, row in zip(axes.get_yticklabels(), rows, strict=True):
        label.set_color(GREY if row.is_control else style.TRUTH)
    axes.tick_params(axis="y", length=0)


def _dots(axes: Axes, at: np.ndarray, estimates: Sequence[Estimate], label: str, k: int, faint: Sequence[bool]) -> None:
    """Plot estimates as dots with their intervals, lighter for the controls."""
    color, marker = style.COLORS[k], style.MARKERS[2 * k]
    for y, estimate, is_faint in zip(at, estimates, faint, strict=True):
        low, high = estimate.interval()
        axes.plot([low, high], [y, y], color=color, linewidth=1.4, alpha=0.45 if is_faint else 0.9)
    values = np.array([e.value for e in estimates])
    axes.plot(values, at, color=color, marker=marker, linestyle="", markersize=5, label=label)


def _by_axis(settings: Settings, result: Result, rows: Sequence[Row]) -> Figure:
    """Draw the granulated tau of every measure along every axis as a table of colours."""
    fig, (axes,) = plot.figure(height=0.3 * len(rows) + 1.7, head=1.0)
    names = [axis.name for axis in settings.axes]
    values = np.array([[e.value for e in row.granulated.axes] for row in rows]).reshape(len(rows), len(names))
    total = np.array([[row.granulated.total.value] for row in rows])
    table = np.concatenate([values, total], axis=1)
    doubtful = [[_holds_zero(e) for e in (*row.granulated.axes, row.granulated.total)] for row in rows]
    at, colors = _places(rows), matplotlib.colormaps["PuOr"]
    for (r, c), value in np.ndenumerate(table):
        if not np.isfinite(value):
            continue
        x = c + 0.25 * (c == len(names))
        axes.add_patch(Rectangle((x - 0.48, float(at[r]) - 0.46), 0.96, 0.92, color=colors(0.5 - value / 2)))
        text = signed(value) + ("?" if doubtful[r][c] else "")
        where: dict[str, Any] = {"ha": "center", "va": "center", "fontsize": style.scaled(8.5)}
        axes.text(x, float(at[r]), text, color="white" if abs(value) > 0.6 else style.TRUTH, **where)
    labels = [name.replace(" ", "\n") for name in names]
    axes.set_xticks([*range(len(names)), len(names) + 0.25], labels=[*labels, "mean"])
    axes.set_xlim(-0.55, len(names) + 0.8)
    axes.xaxis.tick_top()
    axes.grid(False)
    for spine in axes.spines.values():
        spine.set_visible(False)
    axes.tick_params(axis="x", length=0)
    _names_on(axes, at, rows)
    note = f"{_note(settings, result)}{_starred(rows)[1]}; tau among nets that differ in this setting alone"
    note += "; ?: the 95 % interval holds 0" if any(map(any, doubtful)) else ""
    plot.header(fig, f"Granulated tau by setting, {settings.data}", note, ())
    _leave_room_for_names(fig)
    fig.subplots_adjust(bottom=style.scaled(0.1) / fig.get_figheight())
    return fig


def _holds_zero(estimate: Estimate) -> bool:
    """Return whether there is an interval, and it holds zero."""
    return len(estimate.draws) > 0 and estimate.sign() == 0


def _horizontal_axis(panel: Axes, row: Row) -> None:
    """Set a logarithmic axis where the values of a measure span more than a factor of three, with plain numbers."""
    finite = row.values[np.isfinite(row.values)]
    panel.xaxis.set_major_locator(MaxNLocator(4))
    if not (row.measure.log and len(finite) and finite.min() > 0 and finite.max() > 3 * finite.min()):
        return
    decades = np.log10(finite.max() / finite.min())
    panel.set_xscale("log")
    panel.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0) if decades < 1.3 else (1.0,)))
    panel.xaxis.set_major_formatter(FuncFormatter(lambda v, _: f"{v:g}"))
    panel.xaxis.set_minor_locator(NullLocator())


def most_telling(settings: Settings, result: Result) -> Axis:
    """Return the axis whose values go most with the gap, by which the nets are coloured."""
    gap, _ = gaps(settings, result)

    def strength(axis: Axis) -> float:
        level = settings.levels[:, AXES.index(axis)][:, None] + 0 * gap
        value = kendall(level, gap, resamples=1).value
        return abs(value) if np.isfinite(value) else -1.0

    return max(settings.axes, key=strength)


def _scatter(settings: Settings, result: Result, rows: Sequence[Row]) -> Figure:
    lines = -(-len(rows) // COLUMNS)
    fig, panels = plot.panels(COLUMNS, rows=lines, height=1.85 * lines + 1.3, head=0.95)
    fig.set_figwidth(2.45 * COLUMNS)
    fig.subplots_adjust(hspace=0.46, wspace=0.2, left=0.075, right=0.985)
    gap, _ = gaps(settings, result)
    axis = most_telling(settings, result)
    levels = settings.levels[:, AXES.index(axis)]
    limits = (float(np.nanmin(gap)), float(np.nanmax(gap))) if np.isfinite(gap).any() else (0.0, 1.0)
    room = 0.06 * max(limits[1] - limits[0], 1e-9)
    for k, (panel, row) in enumerate(zip(panels, rows, strict=False)):
        for level, value in enumerate(getattr(settings, axis.field)):
            mine = np.isfinite(row.values) & np.isfinite(gap) & (levels == level)[:, None]
            style_: dict[str, Any] = {
                "color": style.COLORS[level % len(style.COLORS)],
                "marker": style.MARKERS[level % 8],
            }
            label = f"{axis.name} {value:g}" if k == 0 else ""
            panel.plot(row.values[mine], gap[mine], linestyle="", markersize=4, alpha=0.8, label=label, **style_)
        _horizontal_axis(panel, row)
        panel.set_title(f"{row.name}: {signed(row.tau.value)}", fontsize=style.scaled(8.6))
        panel.set_ylim(limits[0] - room, limits[1] + room)
        panel.tick_params(labelsize=style.scaled(7.5), labelleft=k % COLUMNS == 0)
        if k % COLUMNS == 0:
            panel.set_ylabel("gap (nats)", fontsize=style.scaled(8.5))
    for panel in panels[len(rows) :]:
        panel.set_visible(False)
    note = f"{_note(settings, result)}; one dot a net; in the titles Kendall's tau"
    plot.header(fig, f"Measures against the generalization gap, {settings.data}", note, panels[:1], 4)
    return fig
