"""A minimal ratio that no number of eigenvalues gives: outside 0..1, or not a multiple of 1 / parameters."""

from __future__ import annotations

import numpy as np

from dlhw.checks.answers import Lacking, Mark
from dlhw.checks.rule import Rule
from dlhw.checks.tables import Table
from dlhw.checks.written_precision import rounding_error
from dlhw.present.numbers import format_number

FLOAT32 = 1e-6
"""Error of a ratio that was stored in float32."""
ENOUGH = 0.25
"""A ratio that determines the number of eigenvalues by less than this is compared with whole numbers."""


def apply(table: Table) -> Mark | Lacking | None:
    """Mark ratios that are not counts over the number of parameters."""
    ratio = table["ratio"]
    rows = np.flatnonzero((ratio < 0) | (ratio > 1))
    if len(rows):
        value = format_number(float(ratio[rows[0]]))
        reason = (
            f"ratio is {value} in row {table.row_number(rows[0])}. A share of the eigenvalues lies between 0 and 1."
        )
        return Mark(reason, tuple(map(int, rows)))
    if not table.has("parameters"):
        return Lacking("needs `parameters`, the number of weights")
    parameters = table.number("parameters")
    room = parameters * (rounding_error(ratio) + FLOAT32)
    if room.min() >= ENOUGH:
        return Lacking(f"ratios with so few digits are not told from multiples of 1/{parameters:.0f}")
    count = ratio * parameters
    rows = np.flatnonzero((np.abs(count - np.round(count)) > room) & (room < ENOUGH))
    if not len(rows):
        return None
    reason = (
        f"ratio is {ratio[rows[0]]:.6g} in row {table.row_number(rows[0])}, which would be {count[rows[0]]:.2f} of "
        f"{parameters:.0f} eigenvalues. The ratio of a Hessian is a whole number of them over the number of parameters."
    )
    return Mark(reason, tuple(map(int, rows)))


RULE = Rule(
    code="ratio-not-a-count",
    items=("minimal-ratio",),
    kind="impossible",
    title="a ratio that is no share of the eigenvalues",
    remedy="Count the eigenvalues of the whole Hessian that are positive, and divide by the number of parameters.",
    apply=apply,
)
