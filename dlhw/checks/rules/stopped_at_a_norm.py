"""Trainings that stopped once the gradient norm was small: not critical points."""

from __future__ import annotations

import numpy as np

from dlhw.checks.answers import Lacking, Mark
from dlhw.checks.rule import Rule
from dlhw.checks.tables import Table
from dlhw.present.numbers import format_number

RELATIVE, ABSOLUTE = 1e-5, 1e-7
"""A gradient norm above both, the first times the root of the loss, is far from zero."""
SHARE = 1 / 3
"""Share of the points that are far: searches for critical points leave up to a tenth."""
WITHIN, CROWD, ROWS = 2.0, 0.8, 8
"""With so many rows, norms of which this share lie within a factor 2 of the largest stopped at a threshold."""


def apply(table: Table) -> Mark | Lacking | None:
    """Mark points whose gradient is not zero to rounding."""
    if not table.has("gradient_norm"):
        return Lacking("needs `gradient_norm`, that of each point")
    norm, loss = np.abs(table["gradient_norm"]), np.abs(table["loss"])
    far = norm > np.maximum(ABSOLUTE, RELATIVE * np.sqrt(loss))
    if far.mean() <= SHARE:
        return None
    largest = float(norm.max())
    near = float((norm >= largest / WITHIN).mean())
    reason = (
        f"The gradient norm is {format_number(float(np.median(norm)))} in the median, and above {RELATIVE:g} times the "
        f"root of the loss at {far.sum()} of {len(norm)} points. At a critical point it is zero to rounding."
    )
    if near >= CROWD and len(norm) >= ROWS:
        reason += f" {near:.0%} lie just below {format_number(largest)}: the trainings stopped at this norm."
    return Mark(reason, tuple(map(int, np.flatnonzero(far))))


RULE = Rule(
    code="stopped-at-a-norm",
    items=("minimal-ratio",),
    kind="mistake",
    title="points where the gradient is small but not zero",
    remedy="From where the training ends, lower |g|² by Levenberg-Marquardt or damped Newton steps in float64 until "
    "rounding, and leave out the points that do not get there.",
    apply=apply,
    false_alarm_rate=0.01,
    basis="binomial, from 9 points on: right searches leave up to 8 % of their points unfinished",
)
