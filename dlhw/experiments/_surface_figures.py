"""The figures of `landscape`: arrays of a result in, figures out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.colors import LogNorm, Normalize
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke
from matplotlib.ticker import MaxNLocator

from dlhw import plot
from dlhw.experiments._surfaces import HESSIAN_EXAMPLES

if TYPE_CHECKING:
    from dlhw.experiments.landscape import Result, Settings

LEVELS = 18
PATH = "#D55E00"


def figures(settings: Settings, result: Result) -> dict[str, Figure]:
    """All that the result has."""
    from dlhw.experiments.landscape import LINES

    good = np.flatnonzero(result.diverged_at < 0)
    if settings.plane in LINES:
        return {"line": _line(settings, result)}
    made = {
        "contour": _maps(settings, result, filled=False),
        "filled": _maps(settings, result, filled=True),
        "surface": _solid(settings, result),
    }
    if np.isfinite(result.accuracy).any():
        made["accuracy"] = _maps(settings, result, filled=True, quantity="accuracy")
    if settings.plane == "path" and len(good):
        made["path"] = _path(settings, result)
    if result.eigenvalues.shape[1]:
        made["curvature"] = _curvature(settings, result)
    return made


def _scale(result: Result) -> tuple[Any, np.ndarray]:
    """Colour scale and levels of the loss, the same for all nets: logarithmic where every loss is positive."""
    from dlhw.experiments.landscape import limits

    low, high = limits(result.loss)
    if low > 0 and high > 1.5 * low:
        return LogNorm(low, high), np.geomspace(low, high, LEVELS)
    high = high if high > low else low + 1.0
    return Normalize(low, high), np.linspace(low, high, LEVELS)


def _panels(settings: Settings, result: Result, note: str = "") -> tuple[Figure, list[Any]]:
    from dlhw.experiments.landscape import title

    count = len(result.labels)
    made, axes = plot.panels(count, height=4.3, head=1.0, right=True)
    if count == 1:
        made.set_figwidth(plot.WIDTH)
    plot.header(made, title(settings), note or f"loss on {settings.where()}", ())
    return made, axes


def _maps(settings: Settings, result: Result, *, filled: bool, quantity: str = "loss") -> Figure:
    from dlhw.experiments.landscape import axes_of

    made, panels = _panels(settings, result, f"{quantity} on {settings.where()}")
    scale, levels = _scale(result)
    if quantity == "accuracy":
        scale, levels = Normalize(0, 100), np.linspace(0, 100, 11)
    names = axes_of(settings)
    for m, axes in enumerate(panels):
        _title(axes, result, m)
        axes.set(xlabel=names[0], ylabel=names[1] if m == 0 else "")
        if result.diverged_at[m] >= 0:
            continue
        values = result.loss[m] if quantity == "loss" else 100 * result.accuracy[m]
        _contours(axes, result, m, values, scale, levels, filled)
        _mark(settings, axes, result, m, scale if quantity == "loss" else None)
    plot.colorbar(made, panels[-1], scale, "loss" if quantity == "loss" else "%", log=isinstance(scale, LogNorm))
    return made


def _contours(
    axes: Any, result: Result, m: int, values: np.ndarray, scale: Any, levels: np.ndarray, filled: bool
) -> None:
    z = np.ma.masked_invalid(values.T)
    axes.grid(False)
    if filled:
        axes.contourf(result.a[m], result.b[m], z, levels=levels, norm=scale, cmap="viridis", extend="both")
        axes.contour(result.a[m], result.b[m], z, levels=levels[::3], colors="white", linewidths=0.4, alpha=0.6)
        return
    lines = axes.contour(result.a[m], result.b[m], z, levels=levels, norm=scale, cmap="viridis", linewidths=1.1)
    axes.clabel(lines, lines.levels[::3], fontsize=plot.scaled(6.5), fmt=lambda v: f"{v:.2g}")


def _title(axes: Any, result: Result, m: int) -> None:
    gone = f": diverged at epoch {result.diverged_at[m]}" if result.diverged_at[m] >= 0 else ""
    axes.set_title(result.labels[m] + gone)


def _mark(settings: Settings, axes: Any, result: Result, m: int, scale: Any, last: int | None = None) -> None:
    """The path, its markers coloured by the true loss on the scale of the contour; or the nets."""
    at = result.marks[m]
    if settings.plane == "path":
        at = at if last is None else at[: last + 1]
        axes.plot(*at.T, color=PATH, linewidth=1.2)
        faces = plot.sequential(scale(result.mark_loss[m][: len(at)])) if scale is not None else PATH
        axes.scatter(*at.T, c=faces, s=22, edgecolors=PATH, linewidths=0.9, zorder=3)
        axes.plot(*at[0], marker="o", markersize=8, color=PATH, markerfacecolor="none", linestyle="")
        return
    names = "ABC" if settings.plane == "three-points" else [""]
    for name, point in zip(names, at, strict=False):
        axes.plot(*point, marker="o" if name else "+", markersize=7, color=PATH, markerfacecolor="white", linestyle="")
        edge = [withStroke(linewidth=2.5, foreground="white")]
        axes.annotate(
            name,
            point,
            (6, 6),
            textcoords="offset points",
            color="#A03E00",
            weight="bold",
            fontsize=plot.scaled(10),
            path_effects=edge,
        )


def _solid(settings: Settings, result: Result) -> Figure:
    """The surfaces in perspective, height and colour the logarithm of the loss, where that exists."""
    from dlhw.experiments.landscape import axes_of

    made, panels = _panels(settings, result)
    scale, _ = _scale(result)
    log = isinstance(scale, LogNorm)
    names, count = axes_of(settings), len(panels)
    corners = np.nanmean(np.log(np.maximum(result.loss, 1e-30)), axis=0)[[-1, -1, 0, 0], [0, -1, -1, 0]]
    # One view of all nets, with the corner in front that is lowest on the mean and so hides nothing.
    turn = -58 + 90 * int(np.nan_to_num(corners, nan=np.inf).argmin())
    for m, flat in enumerate(panels):
        box = flat.get_position()
        flat.remove()
        with plot.style():
            axes: Any = made.add_axes((box.x0 - 0.03, 0.09, box.width, box.y1 - 0.09), projection="3d")
        if count > 1 or result.diverged_at[m] >= 0:
            _title(axes, result, m)
        if result.diverged_at[m] >= 0:
            continue
        a, b = np.meshgrid(result.a[m], result.b[m], indexing="ij")
        z = np.log10(result.loss[m]) if log else result.loss[m]
        z = np.where(np.isfinite(z), z, np.nan)
        faces = plot.sequential(np.nan_to_num(np.ma.getdata(scale(result.loss[m]))))
        facets = axes.plot_surface(a, b, z, facecolors=faces, rcount=60, ccount=60, linewidth=0, shade=False)
        facets.set_rasterized(True)  # thousands of facets make a large and slow SVG
        ends = (scale.vmin, scale.vmax)  # one scale for all nets
        axes.set(xlabel=names[0], ylabel=names[1], zlim=np.log10(ends) if log else ends)
        axes.view_init(elev=38, azim=turn)
        for ticks in (axes.xaxis, axes.yaxis):
            ticks.set_major_locator(MaxNLocator(4))
        axes.tick_params(labelsize=plot.scaled(7))
        if log:
            axes.zaxis.set_major_formatter(lambda v, _: f"{10**v:.2g}")
    panels[-1] = made.axes[-1]
    if count:
        side = made.add_axes((0.93, 0.15, 0.015, 0.55))
        plot.colorbar_in(made, side, scale, "loss", log=log)
    return made


def _path(settings: Settings, result: Result) -> Figure:
    from dlhw.experiments.landscape import title

    made, (top, bottom) = plot.figure(2, height=5.0, heights=(1.6, 1.0), head=1.0)
    for m, label in enumerate(result.labels):
        if result.diverged_at[m] >= 0:
            continue
        color = plot.COLORS[m % len(plot.COLORS)]
        x = result.steps
        top.plot(x, result.mark_loss[m], color=color, marker=".", label=f"{label}: at the weights")
        top.plot(x, result.plane_loss[m], color=color, linestyle=(0, (4, 1.8)), label=f"{label}: in the plane")
        bottom.plot(x, result.away[m], color=color, marker=".")
    plot.positive_log(top, 1e-12)
    top.set_ylabel("loss")
    bottom.set(xlabel="epoch", ylabel="off the plane", ylim=(0, None))
    plot.whole_numbers(bottom)
    plot.header(made, f"How far the contour is the path's own: {title(settings)}", settings.where(), (top,), columns=2)
    return made


def _line(settings: Settings, result: Result) -> Figure:
    from dlhw.experiments.landscape import title

    made, (axes,) = plot.figure(height=4.2, head=0.8 + 0.2 * -(-len(result.labels) // 2))
    for m, label in enumerate(result.labels):
        if result.diverged_at[m] < 0:
            axes.plot(result.a[m], result.loss[m, :, 0], label=label, **plot.line(m))
    plot.positive_log(axes, 1e-12)
    if settings.plane == "start-end":
        for x, name in ((0.0, "end"), (1.0, "start")):
            plot.mark(axes, x, name)
    else:
        plot.mark(axes, 0.0, "net")
    axes.set(xlabel="a", ylabel="loss")
    plot.header(made, title(settings), f"loss on {settings.where()}", (axes,), columns=2)
    return made


def _curvature(settings: Settings, result: Result) -> Figure:
    from dlhw.experiments.landscape import axes_of, converged

    note = f"|smallest / largest eigenvalue| of the Hessian, on at most {HESSIAN_EXAMPLES} of {settings.where()}"
    made, panels = _panels(settings, result, note)
    names, scale = axes_of(settings), Normalize(0, 1)
    every = np.unique(np.linspace(0, settings.grid - 1, settings.curvature).round().astype(int))
    for m, axes in enumerate(panels):
        _title(axes, result, m)
        axes.set(xlabel=names[0], ylabel=names[1] if m == 0 else "")
        axes.grid(False)
        if result.diverged_at[m] >= 0:
            continue
        low, high = result.eigenvalues[m, ..., 0], result.eigenvalues[m, ..., 1]
        with np.errstate(divide="ignore", invalid="ignore"):
            ratio = np.where(converged(result.eigenvalues[m]), np.clip(np.abs(low / high), 0, 1), np.nan)
        axes.pcolormesh(result.a[m][every], result.b[m][every], ratio.T, norm=scale, cmap="viridis", shading="nearest")
    plot.colorbar(made, panels[-1], scale, "ratio", log=False)
    return made


def grown(settings: Settings, result: Result, k: int) -> Figure:
    """The path of the first net that did not diverge, up to its point k, over the filled contour."""
    from dlhw.experiments.landscape import axes_of, title

    m = int(np.flatnonzero(result.diverged_at < 0)[0])
    made, (axes,) = plot.panels(1, height=4.6, head=0.8, right=True)
    scale, levels = _scale(result)
    _contours(axes, result, m, result.loss[m], scale, levels, True)
    _mark(settings, axes, result, m, scale, k)
    names = axes_of(settings)
    axes.set(xlabel=names[0], ylabel=names[1])
    axes.set(xlim=(result.a[m][0], result.a[m][-1]), ylim=(result.b[m][0], result.b[m][-1]))
    plot.colorbar(made, axes, scale, "loss", log=isinstance(scale, LogNorm))
    plot.header(made, title(settings), f"{result.labels[m]}, epoch {result.steps[k]} of {result.steps[-1]}", ())
    return made
