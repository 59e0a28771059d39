"""The figures of `landscape`."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.colors import LogNorm, Normalize
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from dlhw.experiments.landscape import view
from dlhw.experiments.landscape.contours import PATH, label_panel, loss_scale, map_figure, panels
from dlhw.experiments.landscape.spec import Result, Settings
from dlhw.experiments.landscape.surface import HESSIAN_EXAMPLES
from dlhw.present import plot, scales, style
from dlhw.present.section import ComparisonCurves, Curve


def figures(settings: Settings, result: Result) -> dict[str, Figure]:
    """Return the figures: `contour`, `filled`, `surface`, if any `accuracy`, `path`, `curvature`; `line` for a line."""
    if settings.is_line:
        return {"line": _line_figure(settings, result)}
    drawn = {
        "contour": map_figure(settings, result, filled=False),
        "filled": map_figure(settings, result, filled=True),
        "surface": _surface_figure(settings, result),
    }
    if np.isfinite(result.accuracy).any():
        drawn["accuracy"] = map_figure(settings, result, filled=True, quantity="accuracy")
    if settings.plane == "path" and (result.diverged_at < 0).any():
        drawn["path"] = _path_figure(settings, result)
    if result.eigenvalues.shape[1]:
        drawn["curvature"] = _curvature_figure(settings, result)
    return drawn


def series(settings: Settings, result: Result) -> ComparisonCurves:
    """Return the loss along the first axis through the net, one line per net."""
    lines = []
    for m, label in enumerate(result.labels):
        middle = int(np.abs(result.b[m]).argmin()) if np.isfinite(result.b[m]).any() else 0
        lines.append(Curve(label, result.a[m], result.loss[m, :, middle][None]))
    log = bool(view.loss_range(result.loss)[0] > 0)
    return ComparisonCurves(view.axis_names(settings)[0], "loss", tuple(lines), log_y=log, at=(0.0,))


def _surface_figure(settings: Settings, result: Result) -> Figure:
    """Plot the surfaces in perspective; height and colour are the logarithm of the loss if it is positive."""
    fig, flat_axes = panels(settings, result)
    scale, _ = loss_scale(result)
    log = isinstance(scale, LogNorm)
    names, count = view.axis_names(settings), len(flat_axes)
    corners = np.log(np.maximum(result.loss[:, [-1, -1, 0, 0], [0, -1, -1, 0]], 1e-30))
    heights = np.array([np.nanmean(c) if np.isfinite(c).any() else np.inf for c in corners.T])  # inf: all diverged
    # One view of all nets, with the corner in front that is lowest on the mean and so hides nothing.
    turn = -58 + 90 * int(heights.argmin())
    for m, flat in enumerate(flat_axes):
        box = flat.get_position()
        flat.remove()
        with style.house_style():
            axes: Any = fig.add_axes((box.x0 - 0.05, 0.06, box.width, 0.84), projection="3d")
        axes.set_box_aspect((1.25, 1.0, 0.75), zoom=0.95)
        axes.computed_zorder = False  # else the path vanishes in the surface that it lies on
        if count > 1 or result.diverged_at[m] >= 0:
            label_panel(axes, result, m)
        if result.diverged_at[m] >= 0:
            continue
        a, b = np.meshgrid(result.a[m], result.b[m], indexing="ij")
        z = np.log10(result.loss[m]) if log else result.loss[m]
        z = np.where(np.isfinite(z), z, np.nan)
        faces = scales.sequential(np.nan_to_num(np.ma.getdata(scale(result.loss[m]))))
        facets = axes.plot_surface(a, b, z, facecolors=faces, rcount=60, ccount=60, linewidth=0, shade=False)
        facets.set_rasterized(True)  # thousands of facets make a large and slow SVG
        if settings.plane == "path":
            height = np.log10(result.mark_loss[m]) if log else result.mark_loss[m]
            axes.plot(*result.marks[m].T, height, color=PATH, linewidth=1.4, marker="o", markersize=2.5, zorder=3)
        ends = (scale.vmin, scale.vmax)  # one scale for all nets
        axes.set(xlabel=names[0], ylabel=names[1], zlim=np.log10(ends) if log else ends)
        axes.view_init(elev=38, azim=turn)
        for ticks in (axes.xaxis, axes.yaxis):
            ticks.set_major_locator(MaxNLocator(4))
        axes.tick_params(labelsize=style.scaled(7))
        if log:
            axes.zaxis.set_major_formatter(lambda v, _: f"{10**v:.2g}")
    flat_axes[-1] = fig.axes[-1]
    if count:
        side = fig.add_axes((0.93, 0.15, 0.015, 0.55))
        scales.colorbar_in(fig, side, scale, "loss", log=log)
    return fig


def _path_figure(settings: Settings, result: Result) -> Figure:
    fig, (top, bottom) = plot.figure(2, height=5.0, heights=(1.6, 1.0), head=1.0)
    for m, label in enumerate(result.labels):
        if result.diverged_at[m] >= 0:
            continue
        color = style.COLORS[m % len(style.COLORS)]
        x = result.steps
        top.plot(x, result.mark_loss[m], color=color, marker=".", label=f"{label}: at the weights")
        top.plot(x, result.plane_loss[m], color=color, linestyle=(0, (4, 1.8)), label=f"{label}: in the plane")
        bottom.plot(x, result.away[m], color=color, marker=".")
    scales.positive_log(top, 1e-12)
    top.set_ylabel("loss")
    bottom.set(xlabel="epoch", ylabel="off the plane", ylim=(0, None))
    scales.whole_numbers(bottom)
    plot.header(
        fig, f"How far the contour is the path's own: {view.title(settings)}", settings.where(), (top,), columns=2
    )
    return fig


def _line_figure(settings: Settings, result: Result) -> Figure:
    fig, (axes,) = plot.figure(height=4.2, head=0.8 + 0.2 * -(-len(result.labels) // 2))
    for m, label in enumerate(result.labels):
        if result.diverged_at[m] < 0:
            axes.plot(result.a[m], result.loss[m, :, 0], label=label, **style.curve_style(m))
    scales.positive_log(axes, 1e-12)
    if settings.plane == "start-end":
        for x, name in ((0.0, "end"), (1.0, "start")):
            plot.labelled_vline(axes, x, name)
    else:
        plot.labelled_vline(axes, 0.0, "net")
    axes.set(xlabel="a", ylabel="loss")
    plot.header(fig, view.title(settings), f"loss on {settings.where()}", (axes,), columns=2)
    return fig


def _curvature_figure(settings: Settings, result: Result) -> Figure:
    note = f"|smallest / largest eigenvalue| of the Hessian, on at most {HESSIAN_EXAMPLES} of {settings.where()}"
    fig, flat_axes = panels(settings, result, note)
    names, scale = view.axis_names(settings), Normalize(0, 1)
    at = settings.curvature_points()
    for m, axes in enumerate(flat_axes):
        label_panel(axes, result, m)
        axes.set(xlabel=names[0], ylabel=names[1] if m == 0 else "")
        axes.grid(False)
        if result.diverged_at[m] >= 0:
            continue
        low, high = result.eigenvalues[m, ..., 0], result.eigenvalues[m, ..., 1]
        with np.errstate(divide="ignore", invalid="ignore"):
            ratio = np.where(view.converged(result.eigenvalues[m]), np.clip(np.abs(low / high), 0, 1), np.nan)
        axes.pcolormesh(result.a[m][at], result.b[m][at], ratio.T, norm=scale, cmap="viridis", shading="nearest")
    scales.colorbar(fig, flat_axes[-1], scale, "ratio", log=False)
    return fig
