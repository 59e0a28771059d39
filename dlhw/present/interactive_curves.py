"""Learning curves and sweeps as interactive figures; see :mod:`dlhw.present.interactive`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from dlhw.present import curves, stopping
from dlhw.present.curves import CurveRows
from dlhw.present.interactive import (
    MISTAKE,
    RIGHT,
    Array,
    Axis,
    InteractiveFigure,
    Line,
    Panel,
    mistake_and_right,
    of_train_and_test,
    over_seeds,
)
from dlhw.present.stopping import Epochs

TEST_DASH = 1


def learning_curves(
    rows: CurveRows,
    labels: Sequence[str],
    statistic: str,
    chance: float | None = None,
    stopped_at: Epochs | None = None,
    *,
    item: str = "loss-curve",
) -> InteractiveFigure:
    """Return loss and error, or accuracy, against epoch; the mistake is the best epoch by the test set.

    Args:
        rows: the curves.
        labels: of the rows.
        statistic: what lines and bands are.
        chance: accuracy of guessing, where accuracy is drawn in place of the error.
        stopped_at: epoch at which each training stopped, (rows, seeds), -1 where it did not; None: none did.
        item: of `dlhw check` that numbers of readers belong to.
    """
    epochs = np.arange(rows.train_loss.shape[-1])
    loss_lines: list[Line] = []
    other_lines: list[Line] = []
    for k, label in enumerate(labels):
        for which, dash in (("train", 0), ("test", TEST_DASH)):
            for lines, kind in ((loss_lines, "loss"), (other_lines, "accuracy")):
                values = getattr(rows, f"{which}_{kind}")[k].astype(np.float64)
                values = stopping.drawn(values, None if stopped_at is None else stopped_at[k])
                pairs = [("", values)]
                if which == "test":
                    pairs = [(RIGHT, values), (MISTAKE, best_so_far(values, largest=kind == "accuracy"))]
                for view, shown in pairs:
                    name = f"{label}, {which}" + (", best so far" if view == MISTAKE else "")
                    shown = shown if kind == "loss" else _second_quantity(shown, chance)
                    lines.append(over_seeds(name, epochs, shown, color=k, dash=dash, view=view))
    x = Axis("epoch")
    second = Axis("error (%)", True, curves.LEAST_ERROR) if chance is None else Axis("accuracy (%)")
    levels = () if chance is None else ((100 * chance, "chance"),)
    return InteractiveFigure(
        (
            Panel(
                x,
                Axis("cross entropy (nats)", True, 1e-7),
                tuple(loss_lines),
                typed=of_train_and_test(item, "epoch", "loss"),
            ),
            Panel(
                x,
                second,
                tuple(other_lines),
                levels=levels,
                typed=() if chance is None else of_train_and_test(item, "epoch", "accuracy"),
            ),
        ),
        "epoch",
        statistic=statistic,
        views=mistake_and_right(
            (
                "Usual mistake: the best epoch",
                "The smallest test loss and error of any epoch so far: the epoch is chosen by the test images "
                "themselves, and the numbers are too good.",
            ),
            ("Right: the epoch itself", "Loss and error on the test images after the epoch that the slider is at."),
        ),
        own="epoch, value",
    )


def _second_quantity(accuracy: Array, chance: float | None) -> Array:
    return curves.errors(accuracy) if chance is None else 100.0 * accuracy


def best_so_far(values: Array, *, largest: bool) -> Array:
    """Return the best value up to every epoch, along the last axis; nan from a divergence on."""
    best = np.maximum.accumulate(values, axis=-1) if largest else np.minimum.accumulate(values, axis=-1)
    return np.asarray(best)


def statistic_of_dots(seeds: int) -> str:
    """Return what the points of :func:`dots` are."""
    return f"median of {seeds} seeds; small dots: the seeds" if seeds > 1 else "one seed"


def dots(label: str, x: Array, values: Array, color: int, **how: Any) -> Line:
    """Return medians over seeds of a sweep, values (n, S), in order of x, with the seeds as dots."""
    order = np.argsort(x, kind="stable")
    return over_seeds(label, np.asarray(x)[order], np.asarray(values)[order].T, dots=True, color=color, **how)
