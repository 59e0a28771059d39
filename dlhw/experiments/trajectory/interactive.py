"""The figures of `trajectory` that a reader can move."""

from __future__ import annotations

import numpy as np

from dlhw.experiments.trajectory.figures import COMPONENTS
from dlhw.experiments.trajectory.spec import Array, Result, Settings
from dlhw.measure.principal_components import random_walk_shares
from dlhw.present.interactive import (
    RIGHT,
    Axis,
    InteractiveFigure,
    Line,
    Panel,
    TypedNumbers,
    mistake_and_right,
    over_seeds,
)
from dlhw.present.tables import row_medians, statistic_of_figures


def interactive(settings: Settings, result: Result) -> dict[str, InteractiveFigure]:
    """Return `pooled` and `own`, whose slider runs along the paths, and `scree`, with and without the random walk."""
    kinds = ("own",) if settings.reduce == "tsne" and result.tsne is None else ("pooled", "own")
    figures = {which: _paths(settings, result, which) for which in kinds}
    return figures | {"scree": _scree(settings, result)}


def _paths(settings: Settings, result: Result, which: str) -> InteractiveFigure:
    panels = []
    by_tsne = which == "pooled" and settings.reduce == "tsne"
    paths = result.tsne if by_tsne and result.tsne is not None else getattr(result, which)
    for p, part in enumerate(settings.parts()):
        lines = []
        for s, path in enumerate(paths[p]):
            if np.isfinite(path).any():
                lines.append(_path(settings, result, s, path, own=which == "own", read=p == 0))
        explained = result.pooled_explained[p] if which == "pooled" else row_medians(result.own_explained[p].T)
        axes = [
            Axis(f"component {k + 1}" + (f" ({100 * explained[k]:.0f} % of variance)" if k < len(explained) else ""))
            for k in (0, 1)
        ]
        if by_tsne:
            axes = [Axis(f"t-SNE {k}") for k in (1, 2)]
        panels.append(Panel(axes[0], axes[1], tuple(lines), title=part, equal=True))
    return InteractiveFigure(
        tuple(panels),
        "epoch",
        mode="path",
        positions=result.epochs,
        columns=2,
        statistic="hollow: start; filled: where the slider is; losses and accuracies of the net at that epoch",
    )


def _path(settings: Settings, result: Result, s: int, path: Array, *, own: bool, read: bool) -> Line:
    """Return one path as it is drawn: on components of its own, turned so that paths look alike."""
    path = np.nan_to_num(path)
    if own:
        path = path * np.where([path[0, 0] > 0, path[np.abs(path[:, 1]).argmax(), 1] < 0], -1, 1)
    details = {
        "train loss": result.train_loss[s][result.epochs],
        "train accuracy (%)": 100 * result.train_accuracy[s][result.epochs].astype(np.float64),
        "test loss": result.test_loss[s][result.epochs],
        "test accuracy (%)": 100 * result.test_accuracy[s][result.epochs].astype(np.float64),
    }
    label = f"seed {settings.seed + s}"
    return Line(label, path[:, 0], path[:, 1], color=s, read=read, details=details if read else {})


def _scree(settings: Settings, result: Result) -> InteractiveFigure:
    shown, n = min(COMPONENTS, max(result.own_explained.shape[-1], 1)), len(result.epochs)
    walk, panels = random_walk_shares(n)[:shown], []
    for p, part in enumerate(settings.parts()):
        lines = [
            over_seeds(label, 1 + np.arange(values.shape[-1]), values, color=k, dash=k, view=view)
            for k, (label, values, view) in enumerate(
                (
                    ("each path alone", result.own_explained[p][:, :shown], ""),
                    ("all paths together", result.pooled_explained[p][None, :shown], ""),
                    (f"random walk of {n} points", walk[None], RIGHT),
                )
            )
        ]
        shares = (TypedNumbers("pca-path", "component", "share"),)
        panels.append(
            Panel(Axis("component k"), Axis("share of variance", True, 1e-6), tuple(lines), title=part, typed=shares)
        )
    two = f"{100 * walk[:2].sum():.0f} %"
    return InteractiveFigure(
        tuple(panels),
        "component",
        start=0,
        columns=2,
        statistic=statistic_of_figures(settings.seeds),
        views=mistake_and_right(
            (
                "Usual mistake: the paths alone",
                "By themselves, large shares of the first components seem to show that a path is simple.",
            ),
            ("Right: beside a random walk", f"A random walk of as many points has {two} in two components."),
        ),
    )
