"""The norms of layers added up, in place of their squares.

sum_l |g_l| exceeds |g| = sqrt(sum_l |g_l|²) by a factor up to the root of the number of layers. With layer columns
it is arithmetic; without, the loss of full-batch descent falls by less than rate times norm² would have it.
"""

from __future__ import annotations

import numpy as np

from dlhw.checks.answers import Lacking, Mark
from dlhw.checks.descents import descent_of
from dlhw.checks.layer_norms import parts_of
from dlhw.checks.rule import Rule
from dlhw.checks.tables import Table
from dlhw.present.numbers import format_number

ROWS = 0.9
"""Share of the rows in which the norm is the sum."""
SHARE, HIGHEST, LOWEST = 0.72, 0.85, 0.02
"""Median and 90 % quantile of descent over prediction below which norms are too large; 0.5 for two equal layers."""
ROUGH, STEADY = 0.15, 4.0
"""A norm rougher than this, or a factor that changes by more, is that of batches."""


def apply(table: Table) -> Mark | Lacking | None:
    """Mark norms that are sums over layers."""
    if "layer" not in table.columns:
        return _from_descent(table)
    parts = parts_of(table)
    if isinstance(parts, Lacking):
        return parts
    is_sum = np.abs(parts.norm / parts.added - 1) <= parts.tolerance
    if is_sum.mean() < ROWS:
        return None
    factor = format_number(float(np.median(parts.added / parts.total)))
    reason = (
        f"norm is the sum of the layer norms in {is_sum.sum()} of {len(is_sum)} rows. "
        f"The norm of the whole gradient is the root of the sum of their squares, {factor} times smaller in the median."
    )
    return Mark(reason, tuple(map(int, parts.rows[is_sum])))


def _from_descent(table: Table) -> Mark | Lacking | None:
    descent = descent_of(table)
    if isinstance(descent, Lacking):
        return descent
    low, middle, high = descent.quantile(0.1), descent.middle, descent.quantile(0.9)
    if not (LOWEST <= middle < SHARE and high < HIGHEST):
        return None
    if descent.roughness > ROUGH or high > STEADY * low:
        return None
    factor = format_number(float(middle**-0.5))
    return Mark(
        f"On smooth stretches the loss falls by {format_number(middle)} of what learning rate and norm² say (10 to 90 %"
        f" of {len(descent.shares)} steps: {format_number(low)} to {format_number(high)}), and right norms give 1. "
        f"The norms are {factor} times too large, as sums of layer norms are."
    )


RULE = Rule(
    code="layer-norms-added",
    items=("gradient-norm",),
    kind="mistake",
    title="the norms of layers added up",
    remedy="Square the norms of all tensors, add them, and take the root: tf.linalg.global_norm(gradients).",
    apply=apply,
    false_alarm_rate=0.01,
    basis="arithmetic with layer columns; measured without",
)
