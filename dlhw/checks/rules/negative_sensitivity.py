"""A sensitivity below zero: it is a mean of norms."""

from __future__ import annotations

import numpy as np

from dlhw.checks.answers import Mark
from dlhw.checks.rule import Rule
from dlhw.checks.tables import Table
from dlhw.present.numbers import format_number


def apply(table: Table) -> Mark | None:
    """Mark values below zero."""
    rows = np.flatnonzero(table["value"] < 0)
    if not len(rows):
        return None
    value, row = format_number(float(table["value"][rows[0]])), table.row_number(rows[0])
    return Mark(
        f"value is {value} in row {row}. A mean of norms cannot be negative.",
        tuple(map(int, rows)),
    )


RULE = Rule(
    code="negative-sensitivity",
    items=("sensitivity",),
    kind="impossible",
    title="a sensitivity below zero",
    remedy="Take the norm of the gradient of every example before the mean, and give the norm, not its logarithm.",
    apply=apply,
)
