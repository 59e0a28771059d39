"""What does the path of the weights look like?

Held fixed: net, data, optimizer, rate, batch size and epochs; the trainings differ in their seed alone. The weights
are taken as one vector at the start and every few epochs and projected on principal components, once of all paths
together and once of each path alone.
References: Li et al. 2018, Visualizing the loss landscape of neural nets; Antognini and Sohl-Dickstein 2018, PCA of
high dimensional random walks with comparison to neural network training.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from dlhw import architectures, datasets, plot
from dlhw.context import Context
from dlhw.errors import require
from dlhw.experiments import _curves, _images
from dlhw.measure.weights import random_walk_shares
from dlhw.section import Line, Section, Series
from dlhw.settings import option
from dlhw.summary import Summary, number, spread, statistics

COLUMNS = 5  # of the legend of seeds
SHOWN = 10  # components of a scree plot


@dataclass(frozen=True)
class Settings(_images.BatchSettings):
    """What `dlhw trajectory` takes."""

    epochs: int = option(24, "Passes over the training set.")
    seeds: int = option(8, "Number of trainings.")
    net: str = option("400-9", "Net: hidden widths such as 400-9, or layers such as 20c3-p2-100.")
    layer: int = option(1, "Layer that is projected on its own, counted from 1.")
    every: int = option(3, "Epochs between two points of a path.")

    def __post_init__(self) -> None:
        super().__post_init__()
        self.check_nets((self.net,), "--net")
        require(1 <= self.every <= self.epochs, f"--every {self.every} must lie in 1..{self.epochs}, the epochs")
        layers = len(self.kernels)
        require(1 <= self.layer <= layers, f"--layer {self.layer} must lie in 1..{layers}, the layers with weights")

    @property
    def kernels(self) -> list[tuple[int, ...]]:
        """Kernel shapes of the layers."""
        about = datasets.known(self.data)
        return architectures.kernels(self.net, about.shape, about.classes)


@dataclass(frozen=True)
class Result:
    """S trainings, n points of a path, E epochs. First axis of what is projected: 0 the whole model, 1 the layer.

    A training that diverged is nan everywhere but in its curves.
    """

    epochs: NDArray[np.integer]  # (n,) at which the points were taken
    pooled: NDArray[np.floating]  # (2, S, n, 2) on the components of all paths together, about their mean
    pooled_explained: NDArray[np.floating]  # (2, m) shares of variance
    own: NDArray[np.floating]  # (2, S, n, 2) on the components of each path alone, the end of the path the origin
    own_explained: NDArray[np.floating]  # (2, S, n - 1)
    travelled: NDArray[np.floating]  # (2, S) length of the path from point to point, Euclidean
    moved: NDArray[np.floating]  # (2, S) distance from start to end
    apart: NDArray[np.floating]  # (2, S, S) distances between the ends
    apart_at_start: NDArray[np.floating]  # (2, S, S)
    train_loss: NDArray[np.floating]  # (S, E + 1)
    train_accuracy: NDArray[np.floating]  # (S, E + 1)
    test_loss: NDArray[np.floating]  # (S, E + 1)
    test_accuracy: NDArray[np.floating]  # (S, E + 1)
    diverged_at: NDArray[np.integer]  # (S,) epoch, or -1
    seconds: tuple[float, ...]  # (S,) of wall time, trainings side by side
    compile_seconds: tuple[float, ...]  # (S,)


SECTION = Section(
    "1-2 a",
    "The path of the weights",
    fixed=(
        "data",
        "net",
        "epochs",
        "batch_size",
        "learning_rate",
        "momentum",
        "optimizer",
        "activation",
        "init",
        "seeds",
    ),
    captions={
        "pooled": "Paths on the principal components of all trainings together; numbers: test accuracy in per cent.",
        "own": "Every path on its own components, its end the origin.",
        "scree": "Share of variance of each component, beside that of a random walk of as many points.",
    },
    mistakes=(
        "Two components with most of the variance are taken for structure: a random walk has as much.",
        "Components of all trainings together mostly separate the trainings and say little about any one path.",
    ),
    quick={"data": "digits", "net": "50-9", "epochs": 24, "learning_rate": 0.02, "seeds": 4},
)

TINY = Settings(data="digits", net="6-4", examples=200, epochs=4, every=1, learning_rate=0.05, seeds=2)


def run(settings: Settings, context: Context) -> Result:
    """Train from every seed, and project the paths."""
    from dlhw.measure import weights

    jobs = {
        f"seed {s}": _images.job(settings, settings.net, s, snapshot_every=settings.every) for s in settings.seed_range
    }
    found = _images.train(settings, jobs, context)
    curves = _curves.curves(found, [list(jobs)])
    curves |= {k: v[0] for k, v in curves.items() if isinstance(v, np.ndarray)}
    epochs = np.arange(0, settings.epochs + 1, settings.every)
    good = np.flatnonzero(curves["diverged_at"] < 0)
    names = list(jobs)
    paths = [found[names[s]]["weights"] for s in good]  # those of diverged trainings end early, or never began
    spans = (slice(None), weights.layer_span(settings.kernels, settings.layer))
    measured = [project([path[:, span] for path in paths], good, settings.seeds, len(epochs)) for span in spans]
    both: dict[str, Any] = {k: np.stack([m[k] for m in measured]) for k in measured[0]}
    return Result(epochs=epochs, **both, **curves)


def project(paths: list[np.ndarray], places: NDArray[np.integer], trainings: int, n: int) -> dict[str, np.ndarray]:
    """Components and distances of `paths`, each (n, P), at their `places` among all trainings; the others are nan."""
    from dlhw.measure import weights

    def empty(*shape: int) -> np.ndarray:
        return np.full(shape, np.nan, np.float32)

    kept = max(1, min(SHOWN, trainings * n - 1))
    out = {"pooled": empty(trainings, n, 2), "pooled_explained": empty(kept), "own": empty(trainings, n, 2)}
    out |= {"own_explained": empty(trainings, n - 1), "travelled": empty(trainings), "moved": empty(trainings)}
    out |= {"apart": empty(trainings, trainings), "apart_at_start": empty(trainings, trainings)}
    if not paths:
        return out
    together = weights.pca(np.concatenate(paths))
    shares = together.explained[:kept]
    out["pooled_explained"][: len(shares)] = shares
    ends, starts = (np.stack([path[at] for path in paths]).astype(np.float64) for at in (-1, 0))
    for k, (place, path) in enumerate(zip(places, paths, strict=True)):
        alone = weights.pca(path)
        for name, found in (("pooled", together.coordinates(path)), ("own", alone.coordinates(path, path[-1]))):
            out[name][place, :, : found.shape[1]] = found
        out["own_explained"][place, : len(alone.explained)] = alone.explained
        steps = np.diff(path.astype(np.float64), axis=0)
        out["travelled"][place] = np.sqrt((steps**2).sum(axis=1)).sum()
        out["moved"][place] = np.linalg.norm(ends[k] - starts[k])
        for name, points in (("apart", ends), ("apart_at_start", starts)):
            out[name][place, places] = np.linalg.norm(points - points[k], axis=1)
    return out


def figures(settings: Settings, result: Result) -> dict[str, Figure]:
    """`pooled`: all paths on common components. `own`: every path on its own. `scree`: shares beside a random walk."""
    return {
        "pooled": _paths_figure(settings, result, "pooled"),
        "own": _paths_figure(settings, result, "own"),
        "scree": _scree_figure(settings, result),
    }


def _what(settings: Settings) -> tuple[str, str]:
    return "whole model", f"layer {settings.layer}"


def _paths_figure(settings: Settings, result: Result, which: str) -> Figure:
    made, panels = plot.panels(2, height=4.9, head=plot.room(settings.seeds, COLUMNS, title=True))
    names = ("All paths on common components", "Each path on components of its own, its end at 0")
    for p, (axes, what) in enumerate(zip(panels, _what(settings), strict=True)):
        for s, path in enumerate(getattr(result, which)[p]):
            if not np.isfinite(path).any():
                continue
            color = plot.COLORS[s % len(plot.COLORS)]
            path = np.nan_to_num(path)  # a path of two points has one component; the other is zero
            if which == "own":  # signs are arbitrary: the start to the left, the bend upwards, so that paths compare
                path = path * np.where([path[0, 0] > 0, path[np.abs(path[:, 1]).argmax(), 1] < 0], -1, 1)
            label = f"seed {settings.seed + s}" if p == 0 else None
            axes.plot(*path.T, color=color, marker=".", markersize=5, linewidth=1.1, label=label)
            axes.plot(*path[0], marker="o", markersize=8, color=color, markerfacecolor="white")
            axes.plot(*path[-1], marker="o", markersize=8, color=color)
            if which == "pooled":
                # Of the end alone: before training it is chance. Above and below in turn, since ends may lie close.
                accuracy, place = 100 * result.test_accuracy[s, -1], (5, 4 if s % 2 else -9)
                how: Any = {"textcoords": "offset points", "fontsize": plot.scaled(6.5), "color": color}
                axes.annotate(f"{accuracy:.1f}", path[-1], place, **how)
        shares = result.pooled_explained[p] if which == "pooled" else _curves.median(result.own_explained[p].T)
        median = "" if which == "pooled" else ", median"
        for k, axis in enumerate((axes.xaxis, axes.yaxis)):
            share = f"{100 * shares[k]:.0f} % of variance{median}" if k < len(shares) else "no variance"
            axis.set_label_text(f"component {k + 1} ({share})")
        axes.set_title(what + (_curves.gone(result.diverged_at) if p == 0 else ""))
    note = "hollow: start, filled: end" + ("; numbers: test accuracy at the end, %" if which == "pooled" else "")
    plot.header(made, names[which == "own"], note, (panels[0],), columns=COLUMNS)
    return made


def _scree_figure(settings: Settings, result: Result) -> Figure:
    made, panels = plot.panels(2, height=4.3, head=plot.room(3, 3, title=True))
    for p, (axes, what) in enumerate(zip(panels, _what(settings), strict=True)):
        shown, n = min(SHOWN, max(result.own_explained.shape[-1], 1)), len(result.epochs)
        for k, (label, values) in enumerate(
            [
                ("each path alone", result.own_explained[p][:, :shown]),
                ("all paths together", result.pooled_explained[p][None, :shown]),
                (f"random walk of {n} points", random_walk_shares(n)[None, :shown]),
            ]
        ):
            x = np.arange(1, values.shape[-1] + 1)
            plot.band(axes, x, values, label, k, marker=plot.MARKERS[k], markersize=4)
        axes.set(xlabel="component k", ylabel="share of variance", title=what)
        plot.positive_log(axes, 1e-6)
    band = f"median of {settings.seeds} seeds, min to max" if settings.seeds > 1 else "one seed"
    plot.header(made, "Share of the variance of each component", band, (panels[0],), columns=3)
    return made


def animation(settings: Settings, result: Result) -> tuple[Callable[[int], Figure], int]:
    """The paths on the components of all trainings, growing from start to end; between two points along a line."""
    between, n = 4, len(result.epochs)

    def draw(k: int) -> Figure:
        made, panels = plot.panels(2, height=4.7, head=1.35)
        whole, rest = divmod(k, between)
        for p, (axes, what) in enumerate(zip(panels, _what(settings), strict=True)):
            for s, path in enumerate(result.pooled[p]):
                if not np.isfinite(path).any():
                    continue
                path, color = np.nan_to_num(path), plot.COLORS[s % len(plot.COLORS)]
                grown = path[: whole + 1]
                if rest:
                    grown = np.vstack([grown, path[whole] + rest / between * (path[whole + 1] - path[whole])])
                axes.plot(*path.T, linestyle="", color=color)  # holds the limits of the axes where they end
                axes.plot(*grown.T, color=color, linewidth=1.3, label=f"seed {settings.seed + s}")
                axes.plot(*grown[0], marker="o", markersize=7, color=color, markerfacecolor="white")
                axes.plot(*grown[-1], marker="o", markersize=7, color=color)
            axes.set(xlabel="component 1", ylabel="component 2", title=what)
        note = (
            f"epoch {result.epochs[whole]} of {result.epochs[-1]}; components of all trainings together; hollow: start"
        )
        plot.header(made, f"Weights on their way, {settings.where()}", note, (panels[0],), columns=4)
        return made

    return draw, (n - 1) * between + 1


def series(settings: Settings, result: Result) -> Series:
    """Test loss against epoch."""
    line = Line("test loss", np.arange(settings.epochs + 1), result.test_loss)
    return Series("epoch", "test cross entropy (nats)", (line,), log_y=True)


def summary(settings: Settings, result: Result) -> Summary:
    """A row for the whole model and one for the layer: shares of variance, lengths, distances."""
    off = ~np.eye(settings.seeds, dtype=bool)
    numbers: dict[str, Any] = {"parameters": settings.parameters(settings.net), "diverged": 0}
    rows, said = [], []
    for p, what in enumerate(_what(settings)):
        own = result.own_explained[p]
        two = own[:, :2].sum(axis=1)
        with np.errstate(invalid="ignore", divide="ignore"):  # a training that never moved
            bent = result.travelled[p] / result.moved[p]
        apart, before = result.apart[p][off], result.apart_at_start[p][off]
        pooled = float(result.pooled_explained[p][:2].sum())
        numbers[what] = {
            "pooled_explained": result.pooled_explained[p].tolist(),
            "own_explained_by_two": statistics(two),
            "travelled": statistics(result.travelled[p]),
            "moved": statistics(result.moved[p]),
            "apart": statistics(apart),
            "apart_at_start": statistics(before),
        }
        shared = f"{100 * pooled:.1f} %" if np.isfinite(pooled) else "–"
        cells = [spread(100 * two, " %"), shared, spread(result.travelled[p]), spread(result.moved[p])]
        rows.append((what, *cells, spread(apart), spread(before)))
        said.append(_sentence(settings, what, two, bent, apart, result.moved[p]))
    gone = int((result.diverged_at >= 0).sum())
    numbers["diverged"] = gone
    numbers["test_accuracy"] = statistics(np.where(result.diverged_at < 0, result.test_accuracy[:, -1], np.nan))
    numbers["seconds"] = statistics(np.array(result.seconds))
    if settings.seeds == 1:
        said.append("One training: one seed decides nothing.")
    if gone:
        said.append(f"{gone} of {settings.seeds} trainings diverged and are left out.")
    columns: tuple[str, ...] = ("", "variance in 2 own components", "in 2 pooled components", "length of the path")
    columns += ("start to end", "between ends", "between starts")
    title = f"trajectory of {settings.net} on {settings.where()}: {settings.epochs} epochs, median (min to max)"
    return Summary(title, columns, tuple(rows), tuple(said), numbers)


def _sentence(
    settings: Settings, what: str, two: np.ndarray, bent: np.ndarray, apart: np.ndarray, moved: np.ndarray
) -> str:
    points = len(range(0, settings.epochs + 1, settings.every))
    if not np.isfinite(two).any():
        return f"{what}: no path to speak of."
    text = f"{what}: two components hold {spread(100 * two, ' %')} of the variance of a path of {points} points"
    if points > 3:
        null = 100 * random_walk_shares(points)[:2].sum()
        text += f"; a random walk of as many points would give {null:.0f} %"
    text += f"; the path is {spread(bent)} times as long as the straight line from start to end"
    if np.isfinite(apart).any():
        ratio = float(np.nanmedian(apart) / np.nanmedian(moved))
        text += f"; the ends lie {number(ratio)} times as far from each other as a training moves"
    return text + "."
