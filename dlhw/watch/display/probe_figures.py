"""What was measured on the probe: units, sharpness, sensitivity, noise scale, functions, the path of the weights."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from numpy.typing import NDArray

from dlhw.measure.principal_components import pca, random_walk_shares
from dlhw.present import plot, scales, style
from dlhw.watch.display import curves
from dlhw.watch.display.drawing import MOST_LINES, draw_envelope, draw_map, log_if_wide, maps, short
from dlhw.watch.spec import Result

Array = NDArray[np.floating]

MARKS: dict[str, Any] = {"marker": "o", "markersize": 4.5}


def units(result: Result) -> Figure | None:
    """Return the shares of dead and of saturated units by layer; None where none were measured."""
    pairs = [("dead (%)", result.dead_share), ("saturated (%)", result.saturated_share)]
    panels = [(name, 100.0 * np.asarray(v, np.float64)) for name, v in pairs if np.isfinite(v).any()]
    if not panels:
        return None
    names, title = result.unit_layers, "Units that do not act"
    note = "of the units of a layer, on all examples of the probe"
    if len(names) > MOST_LINES:
        return _unit_maps(result, panels, title, note)
    columns = 2 if max(map(len, names)) > 14 else 4
    head = plot.header_height(len(names), columns)
    fig, axes = plot.figure(len(panels), height=0.9 + 1.9 * len(panels) + head, head=head)
    for one, (label, values) in zip(axes, panels, strict=True):
        for k, name in enumerate(names):
            known = np.isfinite(values[:, k])
            one.plot(
                result.probe_epoch[known],
                values[known, k],
                label=short(name) if one is axes[0] else None,
                clip_on=False,
                **style.curve_style(k),
                **MARKS,
            )
        one.set(ylabel=label, ylim=(0, max(5.0, 1.08 * float(np.nanmax(values)))))
    axes[-1].set_xlabel("epoch")
    scales.whole_numbers(axes[-1])
    plot.header(fig, title, note, (axes[0],), columns=columns)
    return fig


def _unit_maps(result: Result, panels: Sequence[tuple[str, Array]], title: str, note: str) -> Figure:
    names = result.unit_layers
    fig, axes = maps(len(panels), names)
    scale = Normalize(0, max(5.0, max(float(np.nanmax(values)) for _, values in panels)))
    for one, (label, values) in zip(axes, panels, strict=True):
        draw_map(one, np.asarray(result.probe_epoch, np.float64), values, names, scale)
        one.set_title(label)
        scales.colorbar(fig, one, scale, "", log=False)
    axes[-1].set_xlabel("epoch")
    plot.header(fig, title, note, ())
    return fig


def sharpness(result: Result) -> Figure | None:
    """Return the largest eigenvalue beside the limit of the learning rate, with the loss; None where none is known."""
    known = np.isfinite(result.sharpness)
    if not known.any():
        return None
    head = plot.header_height(4)
    fig, (top, bottom) = plot.figure(2, height=4.2 + head, head=head, heights=(3, 2))
    top.plot(result.probe_step[known], result.sharpness[known], label="sharpness", color=style.COLORS[1], **MARKS)
    edge = np.isfinite(result.edge)
    if edge.any():
        top.plot(
            result.probe_step[edge], result.edge[edge], label="limit of the learning rate", color=style.TRUTH,
            linestyle="--", linewidth=1.2, drawstyle="steps-post",
        )  # fmt: skip
    scales.positive_log(top, 1e-12)
    top.set_ylabel("eigenvalue")
    draw_envelope(bottom, result.step, result.loss, "loss of the batch")
    shown = np.isfinite(result.probe_loss)
    bottom.plot(
        result.probe_step[shown], result.probe_loss[shown], label="loss on the probe", color=style.COLORS[3], **MARKS
    )
    bottom.set(xlabel="batch", ylabel="loss")
    log_if_wide(bottom, np.concatenate([result.loss, result.probe_loss]))
    note = "above the limit, a step of plain gradient descent along the sharpest direction overshoots"
    plot.header(fig, "Sharpness and learning rate", note, (top, bottom))
    return fig


def measures(result: Result) -> Figure | None:
    """Return sensitivity, noise scale beside the batch size, and the functions of the user; None without any."""
    columns = [("sensitivity", result.sensitivity), ("noise scale", result.noise_scale)]
    columns += [(short(name), result.functions[:, k]) for k, name in enumerate(result.function_names)]
    shown = [(name, np.asarray(v, np.float64)) for name, v in columns if np.isfinite(v).any()]
    if not shown:
        return None
    head = 0.62
    fig, axes = plot.figure(len(shown), height=0.65 + 1.55 * len(shown) + head, head=head)
    for k, (one, (name, values)) in enumerate(zip(axes, shown, strict=True)):
        known = np.isfinite(values)
        one.plot(result.probe_step[known], values[known], color=style.COLORS[k % len(style.COLORS)], **MARKS)
        one.set_ylabel(name)
        if name == "noise scale":
            _batch_size(one, result)
        log_if_wide(one, np.concatenate([np.asarray(line.get_ydata(), float) for line in one.lines]))
    axes[-1].set_xlabel("batch")
    note = (
        "noise scale, in examples: the batch size at which noise and gradient are equal"
        if "noise scale" in dict(shown)
        else ""
    )
    plot.header(fig, "Measured on the probe", note, ())
    return fig


def _batch_size(axes: Axes, result: Result) -> None:
    size = curves.column_medians(np.asarray(result.examples)[:, None])[0]
    if np.isfinite(size):
        axes.plot(result.probe_step[[0, -1]], [size, size], color=style.TRUTH, linestyle="--", linewidth=1.0)
        where: Any = {"textcoords": "offset points", "xytext": (-2, 3), "ha": "right"}
        axes.annotate(
            f"batch size {size:g}",
            (result.probe_step[-1], size),
            fontsize=style.scaled(8.2),
            color=style.TRUTH,
            **where,
        )


def path(result: Result) -> Figure | None:
    """Return the path of the weights in two principal components; None with fewer than three snapshots."""
    if result.weights is None:
        return None
    known = np.isfinite(result.weights).all(axis=1)
    points, epochs = np.asarray(result.weights[known], np.float64), result.probe_epoch[known]
    if len(points) < 3 or not points.shape[1] or not np.ptp(points, axis=0).any():
        return None
    components = pca(points)
    plane = np.zeros((len(points), 2))
    plane[:, : len(components.components)] = components.coordinates(points, origin=points[0])
    shares = 100 * np.append(components.explained, 0.0)[:2]
    walk = 100 * random_walk_shares(len(points))[:2]
    fig, (axes,) = plot.figure(height=4.6, head=0.62, right=True)
    axes.plot(plane[:, 0], plane[:, 1], color=style.COLORS[7], linewidth=1.0)
    scale = Normalize(0, max(1, int(epochs.max())))
    axes.scatter(plane[:, 0], plane[:, 1], s=34, c=scales.sequential(scale(epochs)), zorder=3)
    axes.annotate("start", plane[0], textcoords="offset points", xytext=(6, 6), fontsize=style.scaled(8.2))
    axes.set(xlabel=f"component 1 ({shares[0]:.0f} % of variance)", ylabel=f"component 2 ({shares[1]:.0f} %)")
    scales.colorbar(fig, axes, scale, "epoch", log=False)
    note = f"a random walk of {len(points)} points would have {walk[0]:.0f} % and {walk[1]:.0f} %"
    plot.header(fig, f"Path of the weights, {len(points)} snapshots", note, ())
    return fig
