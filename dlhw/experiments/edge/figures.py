"""The figures of `edge`."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from dlhw.experiments.edge.numbers import numbers_of
from dlhw.experiments.edge.spec import EIGENVALUES, OVERLAPS, Array, Result, Settings
from dlhw.present import plot, scales, style
from dlhw.present.numbers import diverged_note
from dlhw.present.section import ComparisonCurves, Curve
from dlhw.present.tables import statistic_of_figures

STEP = "step (full batch)"
NARROW = 3.4
"""Inches of a panel where there is one for every learning rate."""


def figures(settings: Settings, result: Result) -> dict[str, Figure]:
    """Return the figures. `edge`: loss and sharpness at all rates. `eigenvalues`: three of them, and the overlaps."""
    return {"edge": _edge_figure(settings, result), "eigenvalues": _eigenvalue_figure(settings, result)}


def series(settings: Settings, result: Result) -> ComparisonCurves:
    """Return the sharpness over its line against the step, one curve per learning rate."""
    ratio = result.eigenvalues[..., 0] / settings.lines[:, None, None]
    curves = [Curve(f"rate {rate:g}", result.steps, ratio[r]) for r, rate in enumerate(settings.learning_rates)]
    return ComparisonCurves("step", f"sharpness over {settings.line_name}", tuple(curves))


def median_seed(result: Result, late_loss: Array, r: int) -> int:
    """Return the seed of a rate whose late loss is the median of those that did not diverge, else the first."""
    loss = np.where(result.diverged_at[r] < 0, late_loss[r], np.inf)
    finite = max(1, int(np.isfinite(loss).sum()))
    return int(np.argsort(loss, kind="stable")[(finite - 1) // 2])


def title_of(settings: Settings) -> str:
    """Return the net, what it learns, and how."""
    net = f"{settings.net} {settings.activation} net ({settings.parameters:,} parameters)"
    return f"{net} on {settings.where()}, {settings.optimizer_name()}"


def _divergences(
    axes: Axes, result: Result, r: int, steps: NDArray[Any], values: Array, color: str, top: float = np.inf
) -> None:
    """Mark the last finite value of every training of a rate that diverged, at most `top`; values: (S, n)."""
    for s in np.flatnonzero(result.diverged_at[r] >= 0):
        finite = np.flatnonzero(np.isfinite(values[s]) & (values[s] > 0))
        if len(finite):
            y = min(float(values[s, finite[-1]]), top)
            axes.plot(
                steps[finite[-1]],
                y,
                marker="x",
                color=color,
                markersize=8,
                markeredgewidth=2,
                linestyle="",
                clip_on=False,
            )


def _edge_figure(settings: Settings, result: Result) -> Figure:
    rates = settings.learning_rates
    fig, (top, bottom) = plot.figure(2, height=6.6, head=plot.header_height(len(rates)), heights=(1.0, 1.3))
    sharpness, most, (low, high) = result.eigenvalues[..., 0], _loss_limit(result), sharpness_limits(settings, result)
    for r, rate in enumerate(rates):
        color = style.curve_style(r)["color"]
        x, loss, _ = plot.thin(np.arange(settings.epochs + 1), result.loss[r])
        label = f"η = {rate:g}{diverged_note(result.diverged_at[r])}"
        plot.band(top, x, loss, label, r, linestyle="-", linewidth=1.2)
        plot.band(bottom, result.steps, sharpness[r], "", r, linestyle="-", linewidth=1.2)
        bottom.axhline(settings.lines[r], color=color, linestyle=(0, (5, 2)), linewidth=1.1)
        where: Any = {"xycoords": ("axes fraction", "data"), "textcoords": "offset points", "xytext": (-2, 2)}
        text = f"{settings.line_name} = {settings.lines[r]:.3g}"
        size, box = style.scaled(8.2), {"facecolor": "white", "edgecolor": "none", "alpha": 0.75, "pad": 0.5}
        bottom.annotate(
            text, (1.0, settings.lines[r]), ha="right", va="bottom", color=color, fontsize=size, bbox=box, **where
        )
        _divergences(top, result, r, np.arange(settings.epochs + 1), result.loss[r], color, most)
        _divergences(bottom, result, r, result.steps, sharpness[r], color, high)
    scales.positive_log(top, 1e-12)
    if np.isfinite(most):
        top.set_ylim(top=most)
    top.set_ylabel(f"training {settings.loss_name()}")
    bottom.set(xlabel=STEP, ylabel="largest Hessian eigenvalue", xlim=(0, settings.epochs))
    bottom.set_ylim(low, high)
    note = f"{statistic_of_figures(settings.seeds)}; dashed: above it, a quadratic diverges"
    if (result.diverged_at >= 0).any():
        note += "; crosses: diverged"
    plot.header(fig, title_of(settings), note, (top,))
    return fig


def _loss_limit(result: Result) -> float:
    """Return the upper end of the axis of the loss: that of a divergence would leave no room for the others."""
    if (result.diverged_at < 0).all():
        return np.inf
    whole = result.loss[result.diverged_at < 0]
    finite = whole[np.isfinite(whole)] if whole.size else result.loss[np.isfinite(result.loss)]
    return 1.5 * float(finite.max())


def sharpness_limits(settings: Settings, result: Result) -> tuple[float, float]:
    """Return the ends of the axis of the sharpness: short peaks, as of a divergence, are cut off."""
    whole = result.eigenvalues[..., 0][result.diverged_at < 0]
    finite = whole[np.isfinite(whole)]
    top = max(float(np.percentile(finite, 99.5)) if len(finite) else 0.0, float(settings.lines.max()))
    return 0.0, 1.15 * top


def _eigenvalue_figure(settings: Settings, result: Result) -> Figure:
    rates, late_loss = settings.learning_rates, numbers_of(settings, result).loss
    count = len(rates)
    head = plot.header_height(EIGENVALUES + 4, 4, title=True)
    fig, axes = plot.panels(count, rows=2, height=6.2, head=head, panel_width=NARROW)
    for r, rate in enumerate(rates):
        top, bottom = axes[r], axes[count + r]
        seed = median_seed(result, late_loss, r)
        _draw_eigenvalues(top, settings, result, r, seed)
        _draw_overlaps(bottom, result, r, seed)
        top.set_title(f"η = {rate:g}, seed {settings.seed + seed}{diverged_note(result.diverged_at[r])}")
        bottom.set_xlabel(STEP)
        for one in (top, bottom):
            one.set_xlim(0, settings.epochs)
    axes[0].set_ylabel("Hessian eigenvalues")
    axes[count].set_ylabel("share of |g|² (%)")
    note = "one seed, of median late loss"
    plot.header(fig, title_of(settings), note, (axes[0], axes[count]), columns=4)
    return fig


def _draw_eigenvalues(axes: Axes, settings: Settings, result: Result, r: int, seed: int) -> None:
    values = result.eigenvalues[r]
    if settings.seeds > 1:
        low, high = np.fmin.reduce(values[..., 0]), np.fmax.reduce(values[..., 0])
        label = f"range of the largest, {settings.seeds} seeds"
        axes.fill_between(result.steps, low, high, color="#777777", alpha=0.22, linewidth=0, label=label)
    names = ("largest", "second", "third")
    for k in range(EIGENVALUES):
        axes.plot(result.steps, values[seed, :, k], label=f"{names[k]} eigenvalue", linewidth=1.1, **_style(k))
    line = settings.lines[r]
    axes.axhline(line, color=style.TRUTH, linestyle=(0, (5, 2)), linewidth=1.1, label=settings.line_name)
    high = float(np.nanmax(values[..., 0])) if np.isfinite(values).any() else line
    top = 1.1 * max(line, min(high, 2.5 * line))
    axes.set_ylim(min(0.0, float(np.nanmin(values[seed], initial=0.0))), top)
    _divergences(axes, result, r, result.steps, values[..., 0], style.COLORS[0], top)


def _draw_overlaps(axes: Axes, result: Result, r: int, seed: int) -> None:
    for k, vectors in enumerate(OVERLAPS):
        label = "along the first eigenvector" if vectors == 1 else f"along the first {vectors}"
        axes.plot(result.steps, 100 * result.overlap[r, seed, :, k], label=label, linewidth=1.1, **_style(3 + k))
    axes.set_ylim(0, 104)


def _style(k: int) -> dict[str, Any]:
    return {"color": style.COLORS[k], "linestyle": "-"}
