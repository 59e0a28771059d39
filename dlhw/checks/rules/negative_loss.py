"""A loss below zero, where the loss is a sum of terms that cannot be negative."""

from __future__ import annotations

import numpy as np

from dlhw.checks.answers import Mark
from dlhw.checks.rule import Rule
from dlhw.checks.tables import Table
from dlhw.present.numbers import format_number

LOSSES = ("value", "loss", "train_loss", "test_loss")
ROUNDING = 1e-6
"""float32 may leave a cross entropy so far below zero."""


def apply(table: Table) -> Mark | None:
    """Mark the first loss below zero."""
    for name in LOSSES:
        if name not in table.columns or (name == "value" and table.item.name != "loss"):
            continue
        rows = np.flatnonzero(table[name] < -ROUNDING)
        if len(rows):
            value, row = format_number(float(table[name][rows[0]])), table.row_number(rows[0])
            reason = f"{name} is {value} in row {row}. Squared errors and cross entropies cannot be negative."
            return Mark(reason, tuple(map(int, rows)))
    return None


RULE = Rule(
    code="negative-loss",
    items=("loss", "loss-curve", "gradient-norm", "minimal-ratio", "interpolation", "random-labels", "parameters"),
    kind="impossible",
    title="a loss below zero",
    remedy="Check that targets are labels or values and not their logarithms, and that outputs are logits "
    "where the loss expects logits.",
    apply=apply,
)
