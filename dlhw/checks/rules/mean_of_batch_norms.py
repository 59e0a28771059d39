"""The mean of the gradient norms of batches, in place of the norm of the mean gradient.

By Jensen's inequality mean_b |g_b| >= |mean_b g_b|, and, where the layers have been averaged in the same way,
mean_b |g_b| >= sqrt(sum_l (mean_b |g_b,l|)²): the norm is larger than its own parts allow.
"""

from __future__ import annotations

import numpy as np

from dlhw.checks.answers import Lacking, Mark
from dlhw.checks.descents import descent_of
from dlhw.checks.layer_norms import missing_layers, parts_of
from dlhw.checks.rule import Rule
from dlhw.checks.rules.layer_norms_added import HIGHEST, ROUGH, SHARE, STEADY
from dlhw.checks.tables import Table
from dlhw.present.numbers import format_number

ROWS = 0.6
"""Share of the rows in which the norm exceeds the root of the sum of squares."""
LARGEST = 0.25
"""Excess over the root of the sum of squares that averages over batches reach; more points to missing columns."""


def apply(table: Table) -> Mark | Lacking | None:
    """Mark norms that are averages over batches."""
    if "layer" not in table.columns:
        return _from_descent(table)
    if missing_layers(table):
        return Lacking("needs the norms of all layers, and `all_layers` is no")
    parts = parts_of(table)
    if isinstance(parts, Lacking):
        return parts
    excess = parts.norm / parts.total - 1
    above = excess > parts.tolerance
    if above.mean() < ROWS or (np.abs(parts.norm / parts.added - 1) <= parts.tolerance).mean() > 1 - ROWS:
        return None
    middle = float(np.median(excess))
    if middle > LARGEST or (parts.norm > parts.added * (1 + parts.tolerance)).mean() > 1 - ROWS:
        more = "norm exceeds the root of the sum of the squares of the layer norms by"
        return Lacking(f"{more} {middle:.0%}; give the norms of all layers")
    reason = (
        f"norm exceeds the root of the sum of the squares of the layer norms in {above.sum()} of {len(above)} rows, by "
        f"{100 * middle:.2g} % in the median, and right norms equal it. An average of norms over batches does so (or "
        "a tensor without a column: then give `all_layers` no)."
    )
    return Mark(reason, tuple(map(int, parts.rows[above])))


def _from_descent(table: Table) -> Mark | Lacking | None:
    descent = descent_of(table)
    if isinstance(descent, Lacking):
        return descent
    low, middle, high = descent.quantile(0.1), descent.middle, descent.quantile(0.9)
    if middle >= SHARE or high >= HIGHEST:
        return None
    if descent.roughness <= ROUGH and high <= STEADY * low:
        return None
    return Mark(
        f"Where the loss falls smoothly it falls by {format_number(middle)} of what learning rate and norm² say (10 to "
        f"90 % of {len(descent.shares)} steps: {format_number(low)} to {format_number(high)}), and right norms give 1. "
        "Norms that are too large by a factor that changes from row to row are those of batches."
    )


RULE = Rule(
    code="mean-of-batch-norms",
    items=("gradient-norm",),
    kind="mistake",
    title="the mean of the gradient norms of batches",
    remedy="Average the gradients of all batches at the same weights, weighted by their examples, and take the norm "
    "of the average.",
    apply=apply,
    false_alarm_rate=0.01,
    basis="arithmetic with layer columns; measured without",
)
