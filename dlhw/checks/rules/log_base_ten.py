"""A cross entropy with the logarithm to base 10: it starts at 1 for ten classes, in place of 2.303."""

from __future__ import annotations

import math

from dlhw.checks.answers import Lacking, Mark
from dlhw.checks.rule import Rule
from dlhw.checks.starts import at_start, classes_of_cross_entropy, in_log10, loss_of
from dlhw.checks.tables import Table
from dlhw.present.numbers import format_number


def apply(table: Table) -> Mark | Lacking | None:
    """Mark a start at log10(classes)."""
    name, classes = loss_of(table), classes_of_cross_entropy(table)
    if name is None or classes is None or not at_start(table):
        return Lacking("needs a cross entropy, its number of classes, and its value at epoch 0, before training")
    start = float(table[name][0])
    if not in_log10(start, classes):
        return None
    return Mark(
        f"The loss starts at {format_number(start)}, near log10({classes}) = {math.log10(classes):.3f}. A net that has "
        f"learned nothing has a cross entropy of ln({classes}) = {math.log(classes):.3f}: the natural logarithm.",
        (0,),
    )


RULE = Rule(
    code="log-base-ten",
    items=("loss", "loss-curve", "random-labels"),
    kind="mistake",
    title="a cross entropy in base 10",
    remedy="Use `np.log`, or multiply the losses by 2.303.",
    apply=apply,
    false_alarm_rate=0.01,
    basis="measured",
)
