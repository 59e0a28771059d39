"""The measures in the order of their rank correlation with the generalization gap."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dlhw.experiments.scoreboard.axes import AXES
from dlhw.experiments.scoreboard.measures import CONTROLS, MEASURES, Measure
from dlhw.experiments.scoreboard.spec import Result, Settings
from dlhw.experiments.scoreboard.statistics import Estimate, Granulated, granulated, kendall
from dlhw.present.numbers import NONE

Array = NDArray[np.floating]

CONFIDENCE = 0.95
CORRECTED = 1 - (1 - CONFIDENCE) / len(MEASURES)
"""Of one interval, where all measures together should be wrong in one run of twenty (Bonferroni)."""


@dataclass(frozen=True)
class Row:
    """One measure and how it ranks the nets."""

    measure: Measure
    is_control: bool
    values: Array  # (C, S); nan for nets that have not reached the target, and where it is not defined
    tau: Estimate  # with the gap of the loss, over all nets
    error_tau: Estimate  # with the gap of the error
    granulated: Granulated  # with the gap of the loss

    @property
    def name(self) -> str:
        """What the measure is called."""
        return self.measure.name

    @property
    def nets(self) -> int:
        """How many nets it is defined for: a margin that is not positive has no inverse."""
        return int(np.isfinite(self.values).sum())

    def wins(self, confidence: float = CONFIDENCE) -> bool:
        """Return whether the intervals over all nets and along every axis lie above zero.

        Args:
            confidence: of the intervals.
        """
        axes = self.granulated.axes
        return bool(axes) and all(e.sign(confidence) > 0 for e in (self.tau, *axes))


def included(settings: Settings, result: Result) -> NDArray[np.bool_]:
    """Return which nets have reached the target, (C, S)."""
    with np.errstate(invalid="ignore"):
        return np.asarray(result.train_loss <= settings.target_loss)


def gaps(settings: Settings, result: Result) -> tuple[Array, Array]:
    """Return the gaps of the loss (test - train) and of the error (train - test accuracy), nan above the target."""
    reached = included(settings, result)
    pairs = (result.test_loss, result.train_loss), (result.train_accuracy, result.test_accuracy)
    loss, error = (np.where(reached, a.astype(np.float64) - b, np.nan) for a, b in pairs)
    return loss, error


def ranking(settings: Settings, result: Result) -> list[Row]:
    """Return a row for every measure, from the highest tau down, and then those of the controls."""
    gap, error_gap = gaps(settings, result)
    reached, axes = included(settings, result), tuple(AXES.index(axis) for axis in settings.axes)
    sizes = np.array([[settings.parameters(c.net(settings))] for c in settings.configurations], np.float64)
    rows = []
    for measure in (*MEASURES, *CONTROLS):
        values = sizes + 0 * gap if measure.key == "parameters" else getattr(result, measure.key).astype(np.float64)
        values = np.where(reached, values, np.nan)
        tau, error_tau = (kendall(values, target, seed=settings.seed) for target in (gap, error_gap))
        along = granulated(values, gap, settings.levels, axes, seed=settings.seed)
        rows.append(Row(measure, measure in CONTROLS, values, tau, error_tau, along))

    def key(row: Row) -> tuple[bool, float]:
        return row.is_control, -row.tau.value if np.isfinite(row.tau.value) else np.inf

    return sorted(rows, key=key)


def signed(value: float) -> str:
    """Return a number with two decimals and a true minus sign; a dash for nan."""
    return f"{value:.2f}".replace("-0.00", "0.00").replace("-", "−") if np.isfinite(value) else NONE


def with_interval(estimate: Estimate) -> str:
    """Return an estimate and its 95 % interval, where it has one: `0.59 (0.48 to 0.68)`."""
    low, high = estimate.interval(CONFIDENCE)
    return signed(estimate.value) + (f" ({signed(low)} to {signed(high)})" if np.isfinite(low) else "")
