"""The figures of `minimal-ratio`: arrays of a result in, figures out."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure

from dlhw import plot
from dlhw.experiments.minimal_ratio import KINDS, Result, Settings, kinds, ratios, signs_of, what
from dlhw.measure.signs import inertia
from dlhw.summary import number

MARKERS = {"critical": "o", "close": "D", "flat": "o", "cut": "s", "stalled": "^"}


def ratio_figure(settings: Settings, result: Result) -> Figure:
    """Minimal ratio against loss, coloured by |g|, a marker for each way in which a search ended."""
    kind = kinds(result)
    rows = len(set(kind) - {""}) + (result.path_loss is not None)
    made, (axes,) = plot.figure(height=4.4 + 0.2 * rows, head=plot.room(rows, 1), right=True)
    ratio, norm = ratios(settings, result.eigenvalues), result.gradient_norm
    sizes = norm[np.isfinite(norm) & (norm > 0)]
    if len(sizes):
        scale = LogNorm(float(sizes.min()), max(float(sizes.max()), 1.0001 * float(sizes.min())))
        size = np.clip(norm, sizes.min(), None)  # an exact zero has no logarithm
        for key, label in KINDS.items():
            some = (kind == key) & np.isfinite(ratio)
            if not some.any():
                continue
            colors: Any = plot.sequential(scale(size[some]))
            look: Any = {"c": colors if key == "critical" else "none", "edgecolors": colors, "marker": MARKERS[key]}
            axes.scatter(
                ratio[some], result.loss[some], s=30, linewidths=1.2, label=f"{label}: {some.sum()} nets", **look
            )
        plot.colorbar(made, axes, scale, "|g|")
    if result.path_eigenvalues is not None and result.path_loss is not None:
        path = ratios(settings, result.path_eigenvalues)
        label = f"training stopped at |g| ≤ {settings.threshold:g}: {int(np.isfinite(path).sum())} nets"
        axes.scatter(path, result.path_loss, s=24, c="#888888", marker="x", linewidths=1.0, label=label)
    if np.any(result.loss > 0):
        axes.set_yscale("log")
        low, high = axes.get_ylim()
        if high < 1.2 * low:  # all at one loss: a logarithmic axis has no ticks between equal numbers
            axes.set_ylim(low / 2, high * 2)
        plot.decades(axes)
    count = "all above 0" if settings.strict else "above rounding"
    axes.set(xlabel=f"minimal ratio (eigenvalues {count} / all)", ylabel="MSE")
    plot.header(made, "Minimal ratio where the gradient vanishes", what(settings), (axes,), columns=1)
    return made


def _chosen(settings: Settings, result: Result) -> dict[str, int]:
    """The critical points of lowest, median and highest loss, or nets if there are none."""
    critical = kinds(result) == "critical"
    some = np.flatnonzero(critical if critical.any() else np.isfinite(result.loss))
    if not len(some):
        return {}
    # At one loss, to the digits that are shown, the ratio orders them.
    losses = np.array([float(number(v)) for v in result.loss[some]])
    order = some[np.lexsort((ratios(settings, result.eigenvalues)[some], losses))]
    name = "loss" if losses.min() < losses.max() else "ratio"
    places = {f"lowest {name}": 0, "median": (len(order) - 1) // 2, f"highest {name}": len(order) - 1}
    chosen: dict[str, int] = {}
    for label, k in places.items():
        if int(order[k]) not in chosen.values():
            chosen[label] = int(order[k])
    return chosen


def spectra_figure(settings: Settings, result: Result) -> Figure:
    """Eigenvalues of three nets in ascending order, on an axis that is linear where they are zero to rounding."""
    made, (axes,) = plot.figure(height=4.2, head=1.15)
    chosen, floors = _chosen(settings, result), []
    for k, (name, s) in enumerate(chosen.items()):
        values = result.eigenvalues[s].astype(float)
        floors.append(float(inertia(result.eigenvalues[s]).tolerance))
        at = f"MSE {number(result.loss[s])}, |g| {number(result.gradient_norm[s])}"
        label = f"{name}, seed {settings.seed + s}: {at}, ratio {ratios(settings, result.eigenvalues)[s]:.2g}"
        axes.plot(np.arange(1, len(values) + 1), values, label=label, marker=".", markersize=3.5, **plot.line(k))
    if floors:
        floor = max(floors)
        axes.set_yscale("symlog", linthresh=floor)
        axes.axhspan(-floor, floor, color="#9A9A9A", alpha=0.3, linewidth=0)
        plot.signed_decades(axes, floor)
    axes.set(xlabel="eigenvalue, in ascending order", ylabel="eigenvalue of the Hessian")
    note = f"{what(settings)}; grey: zero to rounding; " + (
        "critical points" if (kinds(result) == "critical").any() else "no critical point was reached: of all nets"
    )
    plot.header(made, "Spectra", note, (axes,), columns=1)
    return made


def signs_figure(settings: Settings, result: Result) -> Figure:
    """Negative, zero and positive eigenvalues of every net, stacked, in order of the loss."""
    made, (axes,) = plot.figure(height=4.0, head=0.95)
    good, signs = signs_of(settings, result.eigenvalues)
    nets = np.flatnonzero(good)
    order = np.argsort(result.loss[nets], kind="stable")
    at, below = np.arange(len(nets)), np.zeros(len(nets))
    rows = (("negative", signs.negative, plot.COLORS[1]), ("zero", signs.zero, "#BDBDBD"))
    for name, counts, color in (*rows, ("positive", signs.positive, plot.COLORS[0])):
        height = counts[: len(nets)][order]
        axes.bar(at, height, 0.9, bottom=below, color=color, label=name, linewidth=0)
        below = below + height
    short = (kinds(result) != "critical")[nets][order]
    if short.any():
        axes.plot(at[short], np.full(short.sum(), settings.parameters * 1.03), ".", color=plot.TRUTH, markersize=2.5)
    axes.set(xlabel="net, from the lowest loss to the highest", ylabel="eigenvalues", xlim=(-0.7, len(nets) - 0.3))
    axes.set_xticks([])
    axes.grid(False)
    note = f"{what(settings)}; dots on top: no critical point" if short.any() else what(settings)
    plot.header(made, "Signs of the eigenvalues", note, (axes,), columns=3)
    return made
