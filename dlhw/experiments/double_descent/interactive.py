"""The figures of double descent that a reader can move."""

from __future__ import annotations

import numpy as np

from dlhw.experiments.double_descent.figures import Family, families, label_of
from dlhw.experiments.double_descent.spec import Array, Result, Settings
from dlhw.present.interactive import MISTAKE, RIGHT, Axis, InteractiveFigure, Line, Panel, mistake_and_right
from dlhw.present.interactive_curves import dots, statistic_of_dots


def interactive(settings: Settings, result: Result) -> dict[str, InteractiveFigure]:
    """Return the figures; the mistake is to look at one side of the interpolation threshold only."""
    return {name: _interactive(settings, family) for name, family in families(settings, result).items()}


def _interactive(settings: Settings, family: Family) -> InteractiveFigure:
    size = Axis(family.axis, log=True)
    below = np.asarray(family.x) <= family.threshold

    def lines(values: Array, kind: str, dash: int = 0) -> tuple[Line, ...]:
        shown: list[Line] = []
        for k, noise in enumerate(settings.noise):
            label = f"{label_of(noise)}{kind}"
            shown.append(dots(label, family.x, values[k], k, dash=dash, view=RIGHT))
            one_side = np.where(below[:, None], values[k], np.nan)
            shown.append(dots(label, family.x, one_side, k, dash=dash, view=MISTAKE))
        return tuple(shown)

    errors = lines(100 * family.test_error, f", {family.plain}")
    errors += lines(100 * family.control_error, f", {family.control}", dash=1)
    losses = lines(family.test_loss, f", {family.plain}") + lines(family.control_loss, f", {family.control}", dash=1)
    threshold = float(family.threshold)
    mark, named = ((threshold, ""),), ((threshold, "threshold"),)
    panels = (
        Panel(size, Axis("test error (%)"), errors, marks=mark),
        Panel(size, Axis("squared error, test", True), losses, marks=mark),
        Panel(size, Axis("training error (%)"), lines(100 * family.train_error, f", {family.plain}"), marks=mark),
        Panel(size, Axis(family.what_norm, True), lines(family.norm, f", {family.plain}"), marks=named),
    )
    return InteractiveFigure(
        panels,
        family.axis,
        start=int(np.argmin(np.abs(np.log(np.unique(family.x) / family.threshold)))),
        columns=2,
        statistic=f"{statistic_of_dots(settings.seeds)}; threshold: {family.at_threshold}",
        views=mistake_and_right(
            (
                "Usual mistake: one side of the threshold",
                "Sizes up to the interpolation threshold alone: more parameters seem to generalize worse for good.",
            ),
            ("Right: through the threshold", "Sizes on both sides: the test error falls again beyond the peak."),
        ),
        own=f"{family.axis}, value",
    )
