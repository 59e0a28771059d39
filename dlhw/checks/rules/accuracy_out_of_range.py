"""An accuracy that is not a share of examples."""

from __future__ import annotations

import numpy as np

from dlhw.checks.answers import Lacking, Mark
from dlhw.checks.rule import Rule
from dlhw.checks.tables import PERCENT, SHARE, Table
from dlhw.present.numbers import format_number

ACCURACIES = ("train_accuracy", "test_accuracy")
ROUNDING = 1e-6


def apply(table: Table) -> Mark | Lacking | None:
    """Mark the first accuracy below 0 or above 1."""
    names = [name for name in ACCURACIES if name in table.columns]
    if not names:
        return Lacking("needs an accuracy")
    for name in names:
        whole = PERCENT if table[name].max() > SHARE else 1  # up to 100 they would have become shares
        rows = np.flatnonzero((table[name] < -ROUNDING * whole) | (table[name] > (1 + ROUNDING) * whole))
        if len(rows):
            value, row = float(table[name][rows[0]]), table.row_number(rows[0])
            shown = format_number(value) if whole == 1 else f"{value:.1f}"
            span = "0 to 1" if whole == 1 else "0 to 1, or 0 to 100 in per cent"
            reason = f"{name} is {shown} in row {row}. An accuracy is a share of examples, from {span}."
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
