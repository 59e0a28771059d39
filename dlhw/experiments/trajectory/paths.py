"""The figures of the paths of `trajectory`: every point coloured by the accuracy, and by the loss, there."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm, Normalize
from matplotlib.figure import Figure

from dlhw.experiments.trajectory.spec import Array, Result, Settings
from dlhw.present import plot, scales, style
from dlhw.present.numbers import diverged_note
from dlhw.present.tables import row_medians

LEGEND_COLUMNS = 4


def paths_figure(settings: Settings, result: Result, which: str) -> Figure:
    """Draw the paths twice, model beside layer: markers coloured by accuracy above, by loss below."""
    head = plot.header_height(settings.seeds, LEGEND_COLUMNS, title=True)
    fig, panels = plot.panels(2, rows=2, height=7.6 + head, right=True, head=head)
    fig.subplots_adjust(right=1 - style.scaled(1.15) / fig.get_figwidth(), wspace=0.24, hspace=0.14)
    paths = points_of(result) if which == "pooled" else result.own
    accuracy, loss = 100 * result.test_accuracy[:, result.epochs], result.train_loss[:, result.epochs]
    shown = np.isfinite(paths).any(axis=(0, 2, 3))
    norms = scales.accuracy_norm(accuracy[shown]), _loss_norm(loss[shown])
    for k, axes in enumerate(panels):
        row, p = divmod(k, 2)
        for s in map(int, np.flatnonzero(shown)):
            label = f"seed {settings.seed + s}: {accuracy[s, -1]:.1f} %" if k == 0 else None
            path = _placed(paths[p, s]) if which == "own" else np.nan_to_num(paths[p, s])
            _draw_path(axes, path, s, label, (accuracy, loss)[row][s], norms[row])
        axes.set_aspect("equal", adjustable="datalim")  # distances are what is shown
        x_label, y_label = _axis_labels(settings, result, which, p)
        axes.set(xlabel=x_label if row else "", ylabel=y_label)
        if not row:
            axes.set_title(settings.parts()[p] + (diverged_note(result.diverged_at) if p == 0 else ""))
    scales.accuracy_colorbar(fig, panels[1], norms[0])
    scales.colorbar(fig, panels[3], norms[1], "loss (nats)")
    title = "Each path on components of its own, its end at 0"
    if which == "pooled":
        title = "All paths on common components"
        if settings.reduce == "tsne":
            title = (
                f"All points by t-SNE, perplexity {_perplexity(result)}, seed {settings.seed}: distances mean nothing"
            )
    note = (
        "markers: test accuracy (above), training loss (below); hollow: start, large: end; legend: accuracy at the end"
    )
    plot.header(fig, title, note, (panels[0],), columns=LEGEND_COLUMNS)
    return fig


def points_of(result: Result) -> Array:
    """Return the points of all paths in one plane, (2, S, n, 2): by t-SNE where that was asked for, else by PCA."""
    return result.pooled if result.tsne is None else result.tsne


def _perplexity(result: Result) -> str:
    return "unknown" if result.perplexity is None else f"{result.perplexity:.3g}"


def _loss_norm(loss: Array) -> LogNorm:
    positive = loss[loss > 0]
    low, high = (float(positive.min()), float(positive.max())) if len(positive) else (1.0, 10.0)
    return LogNorm(low, max(high, 1.01 * low), clip=True)


def _axis_labels(settings: Settings, result: Result, which: str, p: int) -> tuple[str, str]:
    """Return what the axes of panel p are."""
    if which == "pooled" and settings.reduce == "tsne":
        return "t-SNE 1 (no unit)", "t-SNE 2 (no unit)"
    explained = result.pooled_explained[p] if which == "pooled" else row_medians(result.own_explained[p].T)
    median = "" if which == "pooled" else ", median"
    shares = [f"{100 * v:.0f} % of variance{median}" for v in explained[:2]] + ["no variance"] * 2
    return f"component 1 ({shares[0]})", f"component 2 ({shares[1]})"


def _placed(path: Array) -> Array:
    """Return a path on components of its own, whose signs are arbitrary, so that paths are alike."""
    path = np.nan_to_num(path)  # a path of two points has one component; the other is zero
    # The start to the left, the bend upwards.
    return path * np.where([path[0, 0] > 0, path[np.abs(path[:, 1]).argmax(), 1] < 0], -1, 1)


def _draw_path(axes: Axes, path: Array, s: int, label: str | None, values: Array, norm: Normalize) -> None:
    """Draw one path (n, 2): a line of the seed's colour, markers coloured by `values` (n,), hollow at the start."""
    color, fills = style.COLORS[s % len(style.COLORS)], scales.sequential(norm(values))
    axes.plot(path[:, 0], path[:, 1], color=color, linewidth=1.1, label=label)
    start: Any = fills[:1]
    for at, size, faces, edges, width in (
        (slice(1, -1), 26, fills[1:-1], color, 0.6),
        (slice(0, 1), 56, "white", start, 2.2),
        (slice(-1, None), 64, fills[-1:], color, 1.2),
    ):
        x, y = path[at].T
        axes.scatter(x, y, style.scaled(size), faces, edgecolors=edges, linewidths=width, zorder=3)
