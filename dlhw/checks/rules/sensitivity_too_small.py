"""A sensitivity orders below that of any net that learns the data set."""

from __future__ import annotations

from dlhw.checks.answers import Lacking, Mark
from dlhw.checks.batch_slopes import slope_of
from dlhw.checks.rule import Rule
from dlhw.checks.tables import Table
from dlhw.present.numbers import format_number

SMALLEST = 1e-4
"""Geometric mean over a sweep; that of right sweeps is far larger where the inputs lie in 0 to 1."""


def apply(table: Table) -> Mark | Lacking | None:
    """Mark a sweep whose values are too small by more than the batch size explains."""
    if "data" not in table.facts:
        return Lacking("needs `data`: how large a sensitivity can be depends on the data set")
    line = slope_of(table)
    if isinstance(line, Lacking):
        return line
    size = 10**line.log_size
    if size >= SMALLEST or line.factor:  # a factor 1/B^k has rules of its own
        return None
    return Mark(
        f"A typical value is {format_number(size)}, and it hardly depends on the batch size. With inputs from 0 to 1, "
        f"nets on {table.facts['data']} have 0.02 to 2."
    )


RULE = Rule(
    code="sensitivity-too-small",
    items=("sensitivity",),
    kind="mistake",
    title="a sensitivity divided by a large number, such as the number of examples",
    remedy="Divide the sum of the norms by the number of examples once; the loss of an example is not divided by "
    "anything.",
    apply=apply,
    false_alarm_rate=0.01,
    basis="measured",
)
