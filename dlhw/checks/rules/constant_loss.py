"""A loss that is the same number in every row."""

from __future__ import annotations

import numpy as np

from dlhw.checks.answers import Lacking, Mark
from dlhw.checks.rule import Rule
from dlhw.checks.tables import Table
from dlhw.checks.written_precision import decimals
from dlhw.present.numbers import format_number

LOSSES = ("value", "train_loss")
FEWEST_ROWS, FEWEST_DIGITS = 5, 4


def apply(table: Table) -> Mark | Lacking | None:
    """Mark a loss with four significant digits and more that never changes."""
    name = next((n for n in LOSSES if n in table.columns), None)
    if name is None or table.rows < FEWEST_ROWS:
        return Lacking(f"needs {FEWEST_ROWS} values of a training loss")
    values = table[name]
    if np.ptp(values) > 0:
        return None
    value = float(values[0])
    digits = decimals(values) + (len(f"{abs(value):.0f}") if abs(value) >= 1 else 0)
    if digits < FEWEST_DIGITS:
        return Lacking("needs more digits: the losses are equal as far as they are written down")
    what = "alpha" if table.item.name == "interpolation" else "row"
    return Mark(
        f"The loss is {format_number(value)} at every {what}, to the last of its digits. Weights that change give "
        "losses that differ, so the weights that were evaluated did not change."
    )


RULE = Rule(
    code="constant-loss",
    items=("loss", "loss-curve", "interpolation", "random-labels"),
    kind="mistake",
    title="a loss that never changes",
    remedy="Check that the net that is evaluated is the one whose weights are set or trained, and that its "
    "parameters are those that the optimizer has.",
    apply=apply,
    false_alarm_rate=0.01,
    basis="measured",
)
