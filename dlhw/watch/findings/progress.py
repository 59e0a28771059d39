"""How far a training came: the loss at its beginning, at its end, and that of a constant output."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from dlhw.watch.findings.recorded import (
    BINARY,
    CATEGORICAL,
    MEAN_ABSOLUTE,
    SPARSE,
    SQUARED,
    losses_not_finite,
    one_median,
)
from dlhw.watch.spec import Array, Facts, Result

NOTHING = 0.03
"""A training that removed less than 3 % of the loss of a constant output has learned nothing: an R² of 0.03."""
LITTLE = 0.15
"""One that removed less than 15 % has learned little, or goes on so slowly that something is in its way."""
PARTLY = 0.5
"""One that removed less than half of it works, but may be held back."""
STEADY = 3.0
"""Standard errors by which a slope differs from zero."""
ONGOING = 0.25
"""Share of the whole fall of the loss that belongs to the second half of the steps, where a training is not over."""
SLIGHTLY = 1e-3
"""Share of the loss that a fall has to exceed, so that rounding is none."""
ENDS = 0.1
"""The end of a training is its last tenth, the beginning its first fiftieth, so that batches average out."""
PENALTY = 0.1
"""Share of the loss that regularizers may add before the loss no longer says what was learned."""
FEWEST = 30
"""Steps below which nothing is concluded from a loss that has not fallen."""


@dataclass(frozen=True)
class Progress:
    """Losses at the beginning and at the end, on the probe where it is lower, and the share that was learned."""

    steps: int  # that updated weights
    start: float
    end: float
    chance: float  # loss of the best constant output; nan: not known
    learned: float  # 1 - end / chance, or 1 - end / start where chance is not known; nan: neither
    finite: bool  # whether the last losses are
    falling: bool = False  # whether the loss still fell in the second half of the steps

    @property
    def nothing(self) -> bool:
        """Whether nothing was learned, in enough steps to say so."""
        return self.steps >= FEWEST and self.learned < NOTHING

    @property
    def little(self) -> bool:
        """Whether little or nothing was learned, or the loss is not finite."""
        return not self.finite or (self.steps >= FEWEST and self.learned < LITTLE)

    @property
    def partly(self) -> bool:
        """Whether less than half was learned."""
        return self.little or (self.steps >= FEWEST and self.learned < PARTLY)

    @property
    def rose(self) -> bool:
        """Whether the loss is higher at the end than at the beginning, or not finite."""
        return not self.finite or self.end > self.start


def entropy(shares: tuple[float, ...]) -> float:
    """Return the cross entropy of always predicting these shares, in nats."""
    return -sum(p * math.log(p) for p in shares if p > 0)


def chance(facts: Facts) -> float:
    """Return the loss of the best constant output; nan where it is not known.

    Cross entropy: the entropy of the shares of the classes, which is ln K for K equal classes. Squared error: the
    variance of the targets. Absolute error: their mean distance from the median, by the ratio of a normal distribution.
    Weights of examples change all of these.
    """
    if facts.weighted == "yes":
        return float("nan")
    if facts.loss in (*CATEGORICAL, *SPARSE, *BINARY) and "focal" not in facts.loss:
        shares = facts.probe_label_shares
        return entropy(shares) if len([p for p in shares if p > 0]) > 1 else float("nan")
    if facts.probe_target_variance > 0 and facts.loss in SQUARED:
        return facts.probe_target_variance
    if facts.probe_target_variance > 0 and facts.loss in MEAN_ABSOLUTE:
        return math.sqrt(facts.probe_target_variance * 2 / math.pi)
    return float("nan")


def _by_accuracy(result: Result) -> float:
    """Return the share of the errors of always naming the largest class that was removed on the probe; nan: unknown."""
    shares, known = result.facts.probe_label_shares, result.probe_accuracy[np.isfinite(result.probe_accuracy)]
    if len(shares) < 2 or max(shares) >= 1 or not known.size:
        return float("nan")
    return float((known[-1] - max(shares)) / (1 - max(shares)))


def progress(result: Result) -> Progress:
    """Return how far a training came. With several optimizers, whose losses differ in meaning, nothing is known."""
    steps = int(result.updated.sum())
    if len(result.optimizers) > 1 or not len(result.step):
        unknown = float("nan")
        return Progress(steps, unknown, unknown, unknown, unknown, finite=True)
    losses = result.loss
    rows = len(losses)
    start = one_median(losses[: max(1, rows // 50)])
    last = losses[-max(1, math.ceil(ENDS * rows)) :]
    end = one_median(last)
    measured = result.probe_loss[np.isfinite(result.probe_loss)]
    same_loss = result.facts.weighted != "yes"  # of the probe, whose examples count the same
    if same_loss and len(result.probe_epoch) and result.probe_epoch[0] == 0 and np.isfinite(result.probe_loss[0]):
        start = float(result.probe_loss[0])
    if same_loss and len(measured) > 1:
        end = float(np.nanmin([end, measured[-1]]))
    constant = chance(result.facts)
    against = constant if np.isfinite(constant) else start
    learned = 1 - end / against if against > 0 and end >= 0 else float("nan")
    if result.facts.penalty > PENALTY * against:  # it is part of the losses, and changes
        learned = float("nan")
    if not (np.isfinite(constant) and np.isfinite(learned)):
        learned = float(np.fmax(learned, _by_accuracy(result)))
    finite = not bool(losses_not_finite(result)[-1])
    return Progress(steps, start, end, constant, learned, finite, _falls(losses))


def _falls(losses: Array) -> bool:
    """Whether a line through the second half of the losses falls beyond its noise, as fast as the whole by half."""
    half = losses[len(losses) // 2 :]
    if len(half) < FEWEST or not np.isfinite(losses).all():
        return False
    t = np.arange(len(half)) - (len(half) - 1) / 2
    slope = float(t @ half / (t @ t))
    noise = np.std(half - half.mean() - slope * t) / np.sqrt(t @ t)
    begin = one_median(losses[: max(1, len(losses) // 50)])
    slope = min(slope, 0.0) if -slope * len(half) > SLIGHTLY * abs(begin) else 0.0
    return bool(slope < -STEADY * noise and -slope * len(half) > ONGOING * (begin - one_median(half[len(half) // 2 :])))
