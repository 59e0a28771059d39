"""Learning curves of trainings on images, in rows (nets, noise levels) of seeds: drawn, compared, put into numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from dlhw.present import plot, scales, stopping, style
from dlhw.present.section import ComparisonCurves, Curve

Array = NDArray[np.floating]
CURVES = ("train_loss", "train_accuracy", "test_loss", "test_accuracy")
LEAST_ERROR = scales.LEAST_ERROR

STOP_MARK: dict[str, Any] = {"markersize": 8, "markerfacecolor": "none", "markeredgecolor": style.TRUTH}
"""Where a training stops before the last epoch."""


@dataclass(frozen=True)
class CurveRows:
    """R rows, S seeds, E epochs; entry 0 of a curve is before training, nan follows a divergence."""

    train_loss: Annotated[Array, "R, S, E + 1"]  # cross entropy in nats
    train_accuracy: Annotated[Array, "R, S, E + 1"]  # fraction in [0, 1]
    test_loss: Annotated[Array, "R, S, E + 1"]
    test_accuracy: Annotated[Array, "R, S, E + 1"]
    diverged_at: Annotated[NDArray[np.integer], "R, S"]  # epoch, or -1
    seconds: Annotated[tuple[float, ...], "R S"]  # wall time, row by row, trainings side by side
    compile_seconds: Annotated[tuple[float, ...], "R S"]

    def seconds_by_row(self) -> Array:
        """Return the wall times, (R, S)."""
        return np.reshape(self.seconds, self.diverged_at.shape)

    def compile_seconds_by_row(self) -> Array:
        """Return the compilation times, (R, S)."""
        return np.reshape(self.compile_seconds, self.diverged_at.shape)


def curve_figure(
    curves: CurveRows,
    labels: Sequence[str],
    title: str,
    note: str,
    statistic: str,
    chance: float | None = None,
    stopped_at: NDArray[np.integer] | None = None,
) -> Figure:
    """Draw loss (logarithmic) above error (logarithmic) or accuracy: training solid, test dashed, a band over seeds.

    Args:
        curves: the rows.
        labels: of the rows.
        title: of the figure.
        note: below the title.
        statistic: what lines and bands are.
        chance: accuracy of guessing, for nets that are near it: accuracy is drawn, and chance as a dotted line.
        stopped_at: (rows, seeds) last epoch of each training, -1 for all of them; None: none stopped early.
    """
    head = plot.header_height(len(labels), 1)
    fig, (top, bottom) = plot.figure(2, height=5.3 + head, head=head)
    epochs = np.arange(curves.train_loss.shape[-1])
    for axes, kind in ((top, "loss"), (bottom, "accuracy")):
        for k, label in enumerate(labels):
            for which, dashes in (("train", "-"), ("test", style.TEST_DASHES)):
                stops = None if stopped_at is None else stopped_at[k]
                values = stopping.drawn(getattr(curves, f"{which}_{kind}")[k], stops)
                if kind == "accuracy":
                    values = errors(values) if chance is None else 100.0 * values
                plot.band(
                    axes,
                    epochs,
                    values,
                    label if which == "train" and kind == "loss" else "",
                    k,
                    color=style.COLORS[k % len(style.COLORS)],
                    linestyle=dashes,
                    marker=style.MARKERS[k % len(style.MARKERS)],
                    markersize=3.5,
                    markevery=-(-len(epochs) // 25),
                )
                if stops is not None and which == "train":
                    ends = stops[stops >= 0], values[stops >= 0, stops[stops >= 0]]
                    axes.plot(*ends, linestyle="", marker=style.MARKERS[k % len(style.MARKERS)], **STOP_MARK)
    scales.positive_log(top, 1e-7)
    top.set_ylabel("cross entropy (nats)")
    scales.whole_numbers(bottom)
    bottom.set(xlabel="epoch", ylabel="error (%)" if chance is None else "accuracy (%)", xlim=(0, epochs[-1]))
    if chance is None:
        scales.positive_log(bottom, LEAST_ERROR)
    else:
        bottom.axhline(100 * chance, color=style.TRUTH, linewidth=0.8, linestyle=":")
        where: Any = {"xycoords": ("axes fraction", "data"), "textcoords": "offset points", "xytext": (-3, 3)}
        bottom.annotate("chance", (1.0, 100 * chance), fontsize=style.scaled(8.2), ha="right", **where)
    plot.header(fig, title, f"{note}; train solid, test dashed; {statistic}", (top,), columns=1)
    return fig


def errors(accuracy: Array) -> Array:
    """Return errors in per cent, drawn on a logarithmic axis: none at all is drawn at :data:`LEAST_ERROR`."""
    return np.maximum(100.0 * (1.0 - accuracy), LEAST_ERROR)


def comparison(
    labels: Sequence[str],
    curves: CurveRows,
    name: str = "test_loss",
    stopped_at: NDArray[np.integer] | None = None,
) -> ComparisonCurves:
    """Return one of the curves against epoch, one line per row; what has stopped stays at its last value."""
    x = np.arange(curves.train_loss.shape[-1])
    is_loss = name.endswith("loss")
    held = stopping.held(getattr(curves, name), stopping.last_epochs(stopped_at, getattr(curves, name)))
    values = held * (1 if is_loss else 100)
    y_label = f"{name.split('_', 1)[0]} {'cross entropy (nats)' if is_loss else 'accuracy (%)'}"
    lines = tuple(Curve(label, x, v) for label, v in zip(labels, values, strict=True))
    return ComparisonCurves("epoch", y_label, lines, log_y=is_loss)


def final_values(curves: CurveRows, stopped_at: NDArray[np.integer] | None = None) -> dict[str, Array]:
    """Return numbers of every training, (rows, seeds), nan where it diverged.

    After the last epoch; the best of any epoch, which is selected on the test set itself; and the late median, over
    the last 5 % of the epochs.

    Args:
        curves: of the trainings.
        stopped_at: (rows, seeds) last epoch of each, -1 for all of them; None: none stopped early.
    """
    converged, last = curves.diverged_at < 0, stopping.last_epochs(stopped_at, curves.test_loss)
    values = {name: stopping.at_end(getattr(curves, name), last).astype(np.float64) for name in CURVES}
    loss, accuracy = (stopping.held(v.astype(np.float64), last) for v in (curves.test_loss, curves.test_accuracy))
    values["best_test_loss"] = loss.min(axis=-1)  # a nan on the way stays nan
    values["best_test_accuracy"] = accuracy.max(axis=-1)
    for name in CURVES:
        values[f"late_{name}"] = np.asarray(stopping.late_medians(getattr(curves, name), last), np.float64)
    return {name: np.where(converged, v, np.nan) for name, v in values.items()}
