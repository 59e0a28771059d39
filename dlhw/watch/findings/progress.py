"""How far a training came: the loss at its beginning, at its end, and that of a constant output."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from dlhw.watch.findings.recorded import BINARY, CATEGORICAL, SPARSE, SQUARED, not_finite, one_median
from dlhw.watch.spec import Facts, Result

NOTHING = 0.03
"""A training that removed less than 3 % of the loss of a constant output has learned nothing: an R² of 0.03."""
LITTLE = 0.15
"""One that removed less than 15 % has learned little, or goes on so slowly that something is in its way."""
ENDS = 0.1
"""The end of a training is its last tenth, the beginning its first fiftieth, so that batches average out."""
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

    @property
    def nothing(self) -> bool:
        """Whether nothing was learned, in enough steps to say so."""
        return self.steps >= FEWEST and self.learned < NOTHING

    @property
    def little(self) -> bool:
        """Whether little or nothing was learned, or the loss is not finite."""
        return not self.finite or (self.steps >= FEWEST and self.learned < LITTLE)

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
    variance of the targets.
    """
    if facts.loss in (*CATEGORICAL, *SPARSE, *BINARY) and "focal" not in facts.loss:
        shares = facts.probe_label_shares
        return entropy(shares) if len([p for p in shares if p > 0]) > 1 else float("nan")
    if facts.loss in SQUARED:
        return facts.probe_target_variance if facts.probe_target_variance > 0 else float("nan")
    return float("nan")


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
    if len(result.probe_epoch) and result.probe_epoch[0] == 0 and np.isfinite(result.probe_loss[0]):
        start = float(result.probe_loss[0])
    if len(measured) > 1:
        end = float(np.nanmin([end, measured[-1]]))
    constant = chance(result.facts)
    against = constant if np.isfinite(constant) else start
    learned = 1 - end / against if against > 0 and end >= 0 else float("nan")
    finite = not bool(not_finite(result)[-1])
    return Progress(steps, start, end, constant, learned, finite)
