"""The figures of `minimal-ratio`."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from numpy.typing import NDArray

from dlhw.experiments.minimal_ratio.spec import END_KINDS, Array, Result, Settings, kinds_of, ratios, signs_of
from dlhw.measure.eigenvalue_signs import inertia
from dlhw.present import plot, scales, style
from dlhw.present.numbers import format_median_range, format_number
from dlhw.present.section import ComparisonCurves, Curve

MARKERS = {"critical": "o", "close": "D", "flat": "o", "cut": "s", "stalled": "^"}


def figures(settings: Settings, result: Result) -> dict[str, Figure]:
    """Return the figures. `ratio`: against loss, coloured by |g|. `spectra`: of three nets. `signs`: of all nets."""
    return {
        "ratio": _ratio_figure(settings, result),
        "spectra": _spectra_figure(settings, result),
        "signs": _signs_figure(settings, result),
    }


def series(settings: Settings, result: Result) -> ComparisonCurves:
    """Return quantiles of the minimal ratio over the nets that did not diverge."""
    ratio = ratios(settings, result.eigenvalues)
    ratio = np.sort(ratio[np.isfinite(ratio)])
    share = (np.arange(len(ratio)) + 0.5) / max(1, len(ratio))
    line = Curve("quantile", share, ratio[None])
    return ComparisonCurves("share of nets", "minimal ratio", (line,), at=(0.1, 0.5, 0.9))


def _ratio_figure(settings: Settings, result: Result) -> Figure:
    """Plot the minimal ratio against loss: where searches ended, and beside it where training stopped."""
    kinds = kinds_of(result)
    rows = len(set(kinds) - {""}) + (result.path_loss is not None)
    head = plot.header_height(rows, 1, title=True)
    if result.start_eigenvalues is None:  # an older run
        fig, (axes,) = plot.figure(height=4.4 + 0.2 * rows, head=head, right=True)
    else:
        fig, (axes, beside) = plot.panels(2, height=4.4 + 0.2 * rows, head=head, right=True)
        _plot_mistake(beside, result)
    ratio, norm = ratios(settings, result.eigenvalues), result.gradient_norm
    sizes = norm[np.isfinite(norm) & (norm > 0)]
    if len(sizes):
        scale = LogNorm(float(sizes.min()), max(float(sizes.max()), 1.0001 * float(sizes.min())))
        size = np.clip(norm, sizes.min(), None)  # an exact zero has no logarithm
        for key, label in END_KINDS.items():
            mask = (kinds == key) & np.isfinite(ratio)
            if not mask.any():
                continue
            colors: Any = scales.sequential(scale(size[mask]))
            marker: Any = {"c": colors if key == "critical" else "none", "edgecolors": colors, "marker": MARKERS[key]}
            axes.scatter(
                ratio[mask], result.loss[mask], s=30, linewidths=1.2, label=f"{label}: {_nets(mask)}", **marker
            )
        scales.colorbar(fig, axes, scale, "|g|")
    if result.path_eigenvalues is not None and result.path_loss is not None:
        path = ratios(settings, result.path_eigenvalues)
        label = f"training stopped at |g| ≤ {settings.threshold:g}: {int(np.isfinite(path).sum())} nets"
        axes.scatter(path, result.path_loss, s=24, c="#888888", marker="x", linewidths=1.0, label=label)
    _log_loss(axes, result.loss)
    count = "all above 0" if settings.strict else "above rounding"
    axes.set(xlabel=f"minimal ratio (eigenvalues {count} / all)", ylabel="MSE", xlim=(-0.04, 1.04))
    if result.start_eigenvalues is not None:
        axes.set_title("Where searches for g = 0 ended")
    plot.header(fig, "Minimal ratio where the gradient vanishes", settings.nets(), (axes,), columns=1)
    return fig


def _plot_mistake(axes: Axes, result: Result) -> None:
    """Plot what is usually drawn: the share of eigenvalues above zero where training stopped."""
    eigenvalues = result.start_eigenvalues
    if eigenvalues is None:
        return
    known = np.isfinite(result.start_loss) & np.isfinite(eigenvalues).all(axis=1)
    share = (eigenvalues[known] > 0).mean(axis=1)
    axes.scatter(share, result.start_loss[known], s=24, c="#888888", marker="x", linewidths=1.0)
    _log_loss(axes, result.start_loss[known])
    axes.set(xlabel="eigenvalues above 0 / all", xlim=(-0.04, 1.04))
    norms = format_median_range(result.start_norm[known])
    axes.set_title(f"The usual mistake: where training stopped\n|g| {norms}")


def _nets(mask: NDArray[np.bool_]) -> str:
    n = int(mask.sum())
    return f"{n} net{'s' if n != 1 else ''}"


def _log_loss(axes: Axes, loss: Array) -> None:
    """Set a logarithmic vertical axis, with ticks also where all losses are equal."""
    if np.any(loss > 0):
        axes.set_yscale("log")
        low, high = axes.get_ylim()
        if high < 1.2 * low:  # all at one loss: a logarithmic axis has no ticks between equal numbers
            axes.set_ylim(low / 2, high * 2)
        scales.decades(axes)


def chosen_nets(settings: Settings, result: Result) -> dict[str, int]:
    """Return the critical points of lowest, median and highest loss, or nets if there are none."""
    critical = kinds_of(result) == "critical"
    mask = np.flatnonzero(critical if critical.any() else np.isfinite(result.loss))
    if not len(mask):
        return {}
    # At one loss, to the digits that are shown, the ratio orders them.
    losses = np.array([float(format_number(v)) for v in result.loss[mask]])
    order = mask[np.lexsort((ratios(settings, result.eigenvalues)[mask], losses))]
    name = "loss" if losses.min() < losses.max() else "ratio"
    places = {f"lowest {name}": 0, "median": (len(order) - 1) // 2, f"highest {name}": len(order) - 1}
    chosen: dict[str, int] = {}
    for label, k in places.items():
        if int(order[k]) not in chosen.values():
            chosen[label] = int(order[k])
    return chosen


def _spectra_figure(settings: Settings, result: Result) -> Figure:
    """Plot the eigenvalues of three nets in ascending order, on an axis that is linear within rounding."""
    fig, (axes,) = plot.figure(height=4.2, head=1.15)
    chosen, floors = chosen_nets(settings, result), []
    for k, (name, s) in enumerate(chosen.items()):
        values = result.eigenvalues[s].astype(float)
        floors.append(float(inertia(result.eigenvalues[s]).tolerance))
        at = f"MSE {format_number(result.loss[s])}, |g| {format_number(result.gradient_norm[s])}"
        label = f"{name}, seed {settings.seed + s}: {at}, ratio {ratios(settings, result.eigenvalues)[s]:.2g}"
        axes.plot(
            np.arange(1, len(values) + 1), values, label=label, marker=".", markersize=3.5, **style.curve_style(k)
        )
    if floors:
        floor = max(floors)
        axes.set_yscale("symlog", linthresh=floor)
        axes.axhspan(-floor, floor, color="#9A9A9A", alpha=0.3, linewidth=0)
        scales.signed_decades(axes, floor)
    axes.set(xlabel="eigenvalue, in ascending order", ylabel="eigenvalue of the Hessian")
    note = f"{settings.nets()}; grey: zero to rounding; " + (
        "critical points" if (kinds_of(result) == "critical").any() else "no critical point was reached: of all nets"
    )
    plot.header(fig, "Spectra", note, (axes,), columns=1)
    return fig


def _signs_figure(settings: Settings, result: Result) -> Figure:
    """Plot the numbers of negative, zero and positive eigenvalues of every net, in order of the loss."""
    fig, (axes,) = plot.figure(height=4.0, head=0.95)
    finite, signs = signs_of(settings, result.eigenvalues)
    nets = np.flatnonzero(finite)
    order = np.argsort(result.loss[nets], kind="stable")
    at, below = np.arange(len(nets)), np.zeros(len(nets))
    rows = (("negative", signs.negative, style.COLORS[1]), ("zero", signs.zero, "#BDBDBD"))
    for name, counts, color in (*rows, ("positive", signs.positive, style.COLORS[0])):
        height = counts[: len(nets)][order]
        axes.bar(at, height, 0.9, bottom=below, color=color, label=name, linewidth=0)
        below = below + height
    short = (kinds_of(result) != "critical")[nets][order]
    if short.any():
        axes.plot(at[short], np.full(short.sum(), settings.parameters * 1.03), ".", color=style.TRUTH, markersize=2.5)
    axes.set(xlabel="net, from the lowest loss to the highest", ylabel="eigenvalues", xlim=(-0.7, len(nets) - 0.3))
    axes.set_xticks([])
    axes.grid(False)
    note = f"{settings.nets()}; dots on top: no critical point" if short.any() else settings.nets()
    plot.header(fig, "Signs of the eigenvalues", note, (axes,), columns=3)
    return fig
