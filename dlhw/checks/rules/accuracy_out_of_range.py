"""An accuracy that is not a share of examples."""

from __future__ import annotations

import numpy as np

from dlhw.checks.answers import Lacking, Mark
from dlhw.checks.rule import Rule
from dlhw.checks.tables import Table
from dlhw.present.numbers import format_number

ACCURACIES = ("train_accuracy", "test_accuracy")
ROUNDING = 1e-6


def apply(table: Table) -> Mark | Lacking | None:
    """Mark the first accuracy below 0 or above 1."""
    names = [name for name in ACCURACIES if name in table.columns]
    if not names:
        return Lacking("an accuracy")
    for name in names:
        rows = np.flatnonzero((table[name] < -ROUNDING) | (table[name] > 1 + ROUNDING))
        if len(rows):
            value, row = format_number(float(table[name][rows[0]])), table.row_number(rows[0])
            reason = f"{name} is {value} in row {row}. An accuracy is a share of examples, from 0 to 1."
            return Mark(reason, tuple(map(int, rows)))
    return None


RULE = Rule(
    code="accuracy-out-of-range",
    items=("loss-curve", "random-labels", "interpolation", "parameters", "sensitivity"),
    kind="impossible",
    title="an accuracy outside 0 to 1",
    remedy="Divide the number of right predictions by the number of examples that were evaluated; the last batch "
    "may be smaller than the others.",
    apply=apply,
)
