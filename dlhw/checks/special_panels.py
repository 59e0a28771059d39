"""Panels of items that are no curves: points, shares, spectra, bars."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from dlhw.checks.panel_parts import BAND, MARK, band, fit_height, ring
from dlhw.checks.references import Reference
from dlhw.checks.tables import Array, Table
from dlhw.present import scales, style

MANY = 80
"""Eigenvalues from which on the markers are small."""


def _points(axes: Axes, table: Table, ours: Reference | None, marked: Sequence[int]) -> None:
    """Minimal ratio against loss."""
    loss, ratio = table["loss"], table["ratio"]
    positive = loss.min() > 0 and loss.max() > 3 * loss.min()
    band(axes, ours, "ratio", (float(loss.min()), float(loss.max())))
    size = style.scaled(5 if table.rows <= 100 else 2.5)
    axes.plot(loss, ratio, linestyle="", marker="o", markersize=size, color=style.COLORS[0], label="yours", zorder=3)
    ring(axes, loss, [ratio], marked, table.rows)
    axes.axhline(0.5, color=style.TRUTH, linewidth=0.8, linestyle=":")
    axes.set(xlabel="loss", ylabel="minimal ratio", ylim=(min(0.0, ratio.min()) - 0.03, max(1.0, ratio.max()) + 0.03))
    if positive:
        axes.set_xscale("log")


def _shares(axes: Axes, table: Table, ours: Reference | None, marked: Sequence[int]) -> None:
    """Shares of components beside those of a random walk."""
    from dlhw.measure.principal_components import random_walk_shares

    k, shares = table.x, table["share"]
    points = max(int(table.facts.get("points", 0)), int(k.max()) + 1)
    walk = random_walk_shares(points)
    at = np.round(k).astype(int) - 1
    inside = (at >= 0) & (at < len(walk))
    shown = shares > max(shares.max() * 1e-6, 1e-12)
    band(axes, ours, "share", (float(k.min()), float(k.max())))
    label = f"random walk of {points} points"
    axes.plot(k[inside], walk[at[inside]], color=MARK, linestyle=style.TEST_DASHES, linewidth=1.1, label=label)
    axes.plot(k[shown], shares[shown], marker="o", color=style.COLORS[0], label="yours", zorder=3)
    ring(axes, k, [shares], marked, table.rows)
    axes.set(xlabel="component", ylabel="share of the variance")
    scales.whole_numbers(axes)
    if (shares[shown] > 0).any():
        axes.set_yscale("log")
        fit_height(axes, np.concatenate([shares[shown], walk[at[inside]]]), [], log=True)
        scales.positive_log(axes, 0.0)


def _spectrum(axes: Axes, table: Table, ours: Reference | None, marked: Sequence[int]) -> None:
    """Eigenvalues from the largest to the smallest, with their number beside that of the weights."""
    values = np.sort(table["eigenvalue"])[::-1]
    rank = np.arange(1, len(values) + 1)
    size = style.scaled(4 if len(values) <= MANY else 2)
    weights = int(table.facts.get("parameters", 0))
    label = f"yours: {len(values):,} eigenvalues" + (f" of {weights:,} weights" if weights else "")
    axes.plot(rank, values, marker="o", markersize=size, linestyle="", color=style.COLORS[0], label=label, zorder=3)
    if weights and weights <= 4 * len(values) and weights != len(values):
        axes.axvline(weights, color=MARK, linewidth=1.2, label=f"a whole Hessian has {weights:,}")
    axes.axhline(0, color=style.TRUTH, linewidth=0.8)
    largest = float(np.abs(values).max()) or 1.0
    floor = largest * 1e-5
    if ours is not None and len(values) >= 0.5 * weights:  # of the ten largest, the place in the whole is unknown
        right = ours.bands["eigenvalue"]
        x, label = right.x * len(values) + 0.5, "right ones, scaled to the largest"
        axes.fill_between(
            x, right.low * largest, right.high * largest, color=BAND, alpha=0.45, linewidth=0, label=label
        )
    axes.set_yscale("symlog", linthresh=floor)
    axes.set_ylim(min(-2 * floor, 3 * float(values.min())), 4 * largest)
    scales.signed_decades(axes, floor)
    axes.set(xlabel="rank", ylabel="eigenvalue")


def _bars(axes: Axes, table: Table, ours: Reference | None, marked: Sequence[int]) -> None:
    """Numbers of parameters of nets that should be equal."""
    counts, names = table["parameters"], table.words.get("net", ())
    places = np.arange(table.rows)[::-1]
    colors = [MARK if row in marked else style.COLORS[0] for row in range(table.rows)]
    axes.barh(places, counts, height=0.7, color=colors, alpha=0.85)
    for place, value in zip(places, counts, strict=True):
        axes.annotate(
            f"{value:,.0f}",
            (value, place),
            xytext=(3, 0),
            textcoords="offset points",
            va="center",
            fontsize=style.scaled(8.2),
        )
    for place, name in zip(places, names, strict=False):
        inside: dict[str, Any] = {"va": "center", "fontsize": style.scaled(8.2)}
        axes.annotate(name, (0, place), xytext=(4, 0), textcoords="offset points", color="white", **inside)
    true = _counts(table)
    if true is not None:
        ends = [np.stack([places - 0.45, places + 0.45]), np.stack([true, true])]
        axes.plot(ends[1], ends[0], color=style.TRUTH, linewidth=1.6, solid_capstyle="butt")
        axes.plot([], [], color=style.TRUTH, linewidth=1.6, label="of nets of these widths")
    axes.set_yticks([])
    axes.grid(False, axis="y")
    counts = counts if true is None else np.maximum(counts, true)
    axes.set(xlabel="parameters", xlim=(0, float(counts.max()) * 1.14))


def _counts(table: Table) -> Array | None:
    """Return the numbers of parameters that follow from the widths of the nets, if they are all known."""
    from dlhw.models.architectures import count, parse

    names = table.words.get("net", ())
    if not table.has("inputs", "outputs") or not all(name.replace("-", "").isdigit() for name in names) or not names:
        return None
    sizes = int(table.number("inputs")), int(table.number("outputs"))
    return np.array([count(parse(name), *sizes) for name in names], float)


DRAW: Mapping[str, Callable[[Axes, Table, Reference | None, Sequence[int]], None]] = {
    "minimal-ratio": _points,
    "pca-path": _shares,
    "hessian": _spectrum,
    "equal-parameters": _bars,
}
