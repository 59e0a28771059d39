"""The figure of `interpolate` that a reader can move."""

from __future__ import annotations

from typing import Any

import numpy as np

from dlhw.experiments.interpolate import path_figures
from dlhw.experiments.interpolate.spec import Result, Settings, parse
from dlhw.present.interactive import (
    MISTAKE,
    RIGHT,
    Array,
    Axis,
    Examples,
    InteractiveFigure,
    Line,
    Panel,
    mistake_and_right,
    of_train_and_test,
    over_seeds,
)
from dlhw.present.tables import statistic_of_figures

SPACING = 0.35
"""Least distance of two points of the grid that misses both ends."""


def interactive(settings: Settings, result: Result) -> dict[str, InteractiveFigure]:
    """Return `line`: loss and accuracy of every pair, and the test images where the run recorded them; and `paths`."""
    panels = []
    coarse = coarse_grid(result.alphas)
    for kind, scale, axis in (
        ("loss", 1.0, Axis("cross entropy (nats)", True, 1e-7)),
        ("accuracy", 100.0, Axis("accuracy (%)", low=0.0, high=100.0)),
    ):
        for r, text in enumerate(settings.by):
            what, (a, b) = parse(text)
            lines = []
            for k, which in enumerate(("train", "test")):
                values = scale * getattr(result, f"{which}_{kind}")[r].astype(np.float64)
                lines += _both(which, result.alphas, values, coarse, color=0 if kind == "loss" else 1, dash=k)
            marks = ((0.0, f"A: {what.text(a)}"), (1.0, f"B: {what.text(b)}"))
            panels.append(
                Panel(
                    Axis("α"),
                    axis,
                    tuple(lines),
                    title=f"{what.axis}: {what.text(a)} to {what.text(b)}",
                    marks=marks,
                    typed=of_train_and_test("interpolation", "alpha", kind),
                )
            )
    others = {"paths": path_figures.interactive(settings, result)} if path_figures.is_measured(result) else {}
    return {
        "line": InteractiveFigure(
            tuple(panels),
            "α",
            positions=result.alphas,
            start=int(np.abs(result.alphas - 0.5).argmin()),
            columns=len(settings.by),
            statistic=statistic_of_figures(settings.seeds),
            views=mistake_and_right(
                (
                    "Usual mistake: a grid without the ends",
                    f"The line through {len(coarse)} points that miss α = 0 and 1: the losses of A and B, from which a "
                    "barrier is measured, are not among them.",
                ),
                ("Right: both ends on the grid", "Every point of the line, A and B among them."),
            )
            if len(coarse) > 2
            else (),
            examples=_examples(settings, result),
            own="α, value",
        ),
        **others,
    }


def coarse_grid(alphas: Array) -> Array:
    """Return indices of alphas about SPACING apart, none of which is near 0 or 1; fewer than three: there are none."""
    chosen: list[int] = []
    for k, alpha in enumerate(alphas):
        is_end = min(abs(alpha), abs(alpha - 1)) < SPACING / 4
        if not is_end and (not chosen or alpha - alphas[chosen[-1]] >= SPACING - 1e-9):
            chosen.append(k)
    return np.array(chosen, int)


def _both(label: str, alphas: Array, values: Array, coarse: Array, **how: Any) -> list[Line]:
    """Return the line on the whole grid, and on the coarse one if there is one."""
    if len(coarse) <= 2:
        return [over_seeds(label, alphas, values, **how)]
    return [
        over_seeds(label, alphas, values, view=RIGHT, **how),
        over_seeds(f"{label}, coarse", alphas[coarse], values[:, coarse], view=MISTAKE, **how),
    ]


def _examples(settings: Settings, result: Result) -> Examples | None:
    """Return the test images, with the class that the nets of the first seed predict at every alpha."""
    if result.example_images is None or result.example_labels is None or result.example_probabilities is None:
        return None
    probabilities = result.example_probabilities  # (R, G, E, C)
    predicted = probabilities.argmax(axis=-1)
    largest = np.take_along_axis(probabilities, predicted[..., None], axis=-1)[..., 0]
    predicted = np.where(np.isfinite(largest), predicted, -1)  # an end diverged
    return Examples(result.example_images, result.example_labels, settings.by, predicted, largest)
