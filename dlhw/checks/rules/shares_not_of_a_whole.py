"""Shares of variance that no principal component analysis gives: below zero, rising, or above 1 in total."""

from __future__ import annotations

import numpy as np

from dlhw.checks.answers import Lacking, Mark
from dlhw.checks.rule import Rule
from dlhw.checks.tables import Table
from dlhw.checks.written_precision import rounding_error
from dlhw.present.numbers import format_number

ROUNDING = 1e-5


def apply(table: Table) -> Mark | Lacking | None:
    """Mark shares that are negative, rise, or add up to more than 1."""
    share = table["share"]
    if "component" in table.columns and len(np.unique(table["component"])) < len(share):
        return Lacking("the table holds several paths; give one")
    errors = rounding_error(share)
    rows = np.flatnonzero(share < -ROUNDING)
    if len(rows):
        value = format_number(float(share[rows[0]]))
        return Mark(
            f"share is {value} in row {table.row_number(rows[0])}. A variance is not negative.", tuple(map(int, rows))
        )
    total, room = float(share.sum()), float(errors.sum())
    if total > 1 + ROUNDING + room:
        return Mark(f"The shares add up to {format_number(total)}. Those of all components add up to 1.")
    rows = 1 + np.flatnonzero(share[1:] > share[:-1] + ROUNDING + errors[1:] + errors[:-1])
    if not len(rows):
        return None
    before, after = (format_number(float(v)) for v in share[rows[0] - 1 : rows[0] + 1])
    where = f"The share rises from {before} to {after} at row {table.row_number(rows[0])}."
    return Mark(f"{where} Components come in order of their variance.", tuple(map(int, rows)))


RULE = Rule(
    code="shares-not-of-a-whole",
    items=("pca-path",),
    kind="impossible",
    title="shares that are not those of principal components",
    remedy="Give explained_variance_ratio_, in the order of the components: variances over their total, not singular "
    "values and not variances.",
    apply=apply,
)
