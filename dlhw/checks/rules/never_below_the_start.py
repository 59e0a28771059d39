"""A training loss that is above its first value ever after."""

from __future__ import annotations

from dlhw.checks.answers import Lacking, Mark
from dlhw.checks.rule import Rule
from dlhw.checks.starts import loss_of
from dlhw.checks.tables import Table
from dlhw.present.numbers import format_number

FEWEST_ROWS = 5
MARGIN = 0.1
"""Relative. By less, a net that hardly learns may end above its start."""


def apply(table: Table) -> Mark | Lacking | None:
    """Mark a loss that never comes within 10 % of its first value again."""
    name = loss_of(table)
    if name is None or table.rows < FEWEST_ROWS:
        return Lacking(f"needs {FEWEST_ROWS} values of a training loss")
    first, lowest = float(table[name][0]), float(table[name][1:].min())
    if first <= 0 or lowest <= (1 + MARGIN) * first:
        return None
    return Mark(
        f"The training loss starts at {format_number(first)} and is never below {format_number(lowest)} again. A short "
        "step of gradient descent lowers it: the steps go uphill, are too long, or the rows are reversed."
    )


RULE = Rule(
    code="never-below-the-start",
    items=("loss", "loss-curve", "random-labels"),
    kind="mistake",
    title="a training loss that only rises",
    remedy="Check the sign of the step, the learning rate, and the order of the rows.",
    apply=apply,
    false_alarm_rate=0.01,
    basis="measured",
)
