"""The panels of the figure of a check: which an item has, and how each is drawn."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from dlhw.checks.panel_parts import band, fit_height, ring, within
from dlhw.checks.references import Reference
from dlhw.checks.special_panels import DRAW
from dlhw.checks.tables import Array, Table
from dlhw.present import scales, style

MARKERS_UP_TO = 80
"""Rows that are drawn as markers; more are a line."""
PANEL, BAR = 2.3, 0.24
"""Inches of a panel, and of a bar."""
ACCURACIES = ("train_accuracy", "test_accuracy")
COLUMN_NAMES = {
    "train_loss": "training loss",
    "test_loss": "test loss",
    "train_accuracy": "training accuracy",
    "test_accuracy": "test accuracy",
    "norm": "gradient norm",
    "value": "yours",
    "ratio": "yours",
    "share": "yours",
}


def panels_of(table: Table) -> tuple[str, ...]:
    """Return the names of the panels of a table."""
    item = table.item
    if item.name in DRAW:
        return (item.name,)
    curves = [name for name in item.drawn or _drawable(table) if name in table.columns]
    apart = item.name == "gradient-norm"
    wanted = [f"curve:{name}" for name in curves] if apart else ["curves"] if curves else []
    if item.name not in ("sensitivity", "parameters") and any(name in table.columns for name in ACCURACIES):
        wanted.append("accuracies")
    return tuple(wanted or ["curves"])


def height_of(panel: str, table: Table) -> float:
    """Return the height of a panel in inches."""
    return 0.3 + BAR * table.rows if panel == "equal-parameters" else PANEL


def draw(axes: Axes, panel: str, table: Table, ours: Reference | None, marked: Sequence[int]) -> None:
    """Draw a panel.

    Args:
        axes: to draw in.
        panel: one of those of :func:`panels_of`.
        table: a person's numbers.
        ours: right measurements.
        marked: rows that show a mistake.
    """
    if panel in DRAW:
        DRAW[panel](axes, table, ours, marked)
    elif panel == "accuracies":
        drawn = [name for name in ACCURACIES if name in table.columns]
        _curves(axes, table, ours, marked, drawn)
        axes.set_ylabel("accuracy")
        _vertical(axes, table, ours, drawn)
    elif panel == "curves":
        drawn = [name for name in table.item.drawn or _drawable(table) if name in table.columns]
        _curves(axes, table, ours, marked, drawn)
        axes.set_ylabel(drawn[0] if len(drawn) == 1 and drawn[0] not in COLUMN_NAMES else _axis(table))
        _vertical(axes, table, ours, drawn)
    else:
        name, beside = panel.removeprefix("curve:"), np.array([])
        if name == "norm" and "layer" in table.columns:
            root = np.sqrt((table["layer"] ** 2).sum(axis=1))
            axes.plot(table.x, root, color=style.COLORS[2], label="root of the sum of squares of the layers")
            beside = root
        _curves(axes, table, ours, marked, [name])
        axes.set_ylabel(COLUMN_NAMES.get(name, name))
        _vertical(axes, table, ours, [name], beside)


def _drawable(table: Table) -> list[str]:
    """Return the columns that are drawn where the item names none."""
    return [c.name for c in table.item.columns[1:] if c.name in table.columns and not c.many]


def _axis(table: Table) -> str:
    return {"sensitivity": "sensitivity", "loss": "loss"}.get(table.item.name, "loss")


def _curves(axes: Axes, table: Table, ours: Reference | None, marked: Sequence[int], columns: Sequence[str]) -> None:
    """Draw columns against x, over the right measurements."""
    x, many = table.x, table.rows > MARKERS_UP_TO
    colors = [style.COLORS[k] for k in (0, 3, 2, 4)]
    for k, name in enumerate(columns):
        band(axes, ours, name, _span(table), label=k == 0, color=colors[k])
    for k, name in enumerate(columns):
        appearance: dict[str, Any] = {"color": colors[k], "linestyle": "-" if k == 0 else style.TEST_DASHES}
        label = COLUMN_NAMES.get(name, name.replace("_", " "))
        size = 0.0 if many else style.scaled(5 if table.rows <= 30 else 3.2)
        width = style.scaled(1.0 if many else 1.3)
        axes.plot(
            x,
            table[name],
            marker=style.MARKERS[k],
            markersize=size,
            linewidth=width,
            label=label,
            zorder=3,
            **appearance,
        )
    ring(axes, x, [table[name] for name in columns], marked, table.rows)
    if table.item.log_x and x.min() > 0:
        axes.set_xscale("log")
        if table.rows <= 12:
            _few_ticks(axes, x)
    axes.set_xlabel(table.item.columns[0].name.replace("_", " "))


def _few_ticks(axes: Axes, x: Array) -> None:
    """Set ticks at the x of a few rows, as far apart as their labels are long."""
    from matplotlib.ticker import NullLocator

    ticks: list[float] = []
    for value in np.unique(x):
        if not ticks or np.log10(value / ticks[-1]) > 0.09 * max(np.log10(x.max() / x.min()), 0.3):
            ticks.append(float(value))
    axes.set_xticks(ticks, labels=[f"{v:,.0f}" if v == round(v) else f"{v:g}" for v in ticks])
    axes.xaxis.set_minor_locator(NullLocator())


def _span(table: Table) -> tuple[float, float]:
    """Return the x between which right measurements are drawn."""
    margin = 0.0 if np.ptp(table.x) > 0 else 1.0
    return float(table.x.min()) - margin, float(table.x.max()) + margin


def _vertical(
    axes: Axes, table: Table, ours: Reference | None, columns: Sequence[str], beside: Array | None = None
) -> None:
    """Set the vertical axis: logarithmic where the item wants it, or a loss spans more than a decade.

    beside: numbers that are drawn with the columns.
    """
    values = np.concatenate([table[name] for name in columns]) if columns else np.array([])
    if not values.size:
        return
    wanted = table.item.log_y or (values.max() > 20 * values.min() and columns[0] not in ACCURACIES)
    log = bool(values.min() > 0 and wanted)
    if log:
        axes.set_yscale("log")
    right = [part for name in columns if (part := within(ours, name, _span(table))) is not None]
    fit_height(axes, np.concatenate([values, *([] if beside is None else [beside])]), right, log=log)
    if log:
        scales.positive_log(axes, 0.0)
