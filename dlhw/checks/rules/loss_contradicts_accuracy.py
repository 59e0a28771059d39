"""A cross entropy that is less than its wrong predictions cost.

The probability of a class that is not the most probable one is at most 1/2: every wrong prediction costs at least ln 2.
"""

from __future__ import annotations

import math

import numpy as np

from dlhw.checks.answers import Lacking, Mark
from dlhw.checks.rule import Rule
from dlhw.checks.tables import Table
from dlhw.checks.written_precision import half_unit
from dlhw.present.numbers import format_number

SETS = ("train", "test")
MARGIN = 0.02
"""Relative. Means over batches, the last of which is smaller, may be off by so much."""


def apply(table: Table) -> Mark | Lacking | None:
    """Mark rows where the loss is below (1 - accuracy) ln 2."""
    names = [s for s in SETS if table.has(f"{s}_loss", f"{s}_accuracy")]
    if not names:
        return Lacking("needs a loss and the accuracy of the same examples")
    if table.facts.get("kind") != "cross-entropy":
        return Lacking("needs the kind of the loss: the bound holds for a cross entropy")
    for name in names:
        loss, accuracy = table[f"{name}_loss"], table[f"{name}_accuracy"]
        least = (1 - accuracy - half_unit(accuracy)) * math.log(2)
        rows = np.flatnonzero(loss + half_unit(loss) < (1 - MARGIN) * least)
        if len(rows):
            r = int(rows[0])
            wrong, mean, bound = 100 * (1 - accuracy[r]), format_number(float(loss[r])), format_number(float(least[r]))
            return Mark(
                f"In row {table.row_number(r)} {wrong:.1f} % of the {name} predictions are wrong and {name}_loss is "
                f"{mean}. Every wrong prediction costs at least ln 2 = 0.693, so the mean cross entropy cannot be "
                f"below {bound}.",
                tuple(map(int, rows)),
            )
    return None


RULE = Rule(
    code="loss-contradicts-accuracy",
    items=("loss-curve",),
    kind="impossible",
    title="a cross entropy below what its wrong predictions cost",
    remedy="Evaluate both on the same examples and weights; use the natural logarithm, add over the classes, and "
    "divide by the number of examples once.",
    apply=apply,
)
