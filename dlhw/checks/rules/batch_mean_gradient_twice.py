"""Sensitivity from the gradient of the batch mean, its norms divided by the number of examples once more."""

from __future__ import annotations

from dlhw.checks.answers import Lacking, Mark
from dlhw.checks.batch_slopes import slope_of
from dlhw.checks.rule import Rule
from dlhw.checks.rules.batch_mean_gradient import judge
from dlhw.checks.tables import Table


def apply(table: Table) -> Mark | Lacking | None:
    """Mark values that fall with the batch size B as 1/B²."""
    return judge(slope_of(table), 2)


RULE = Rule(
    code="batch-mean-gradient-twice",
    items=("sensitivity",),
    kind="mistake",
    title="the gradient of the batch mean, summed over the batches and divided by the number of examples",
    remedy="Take one gradient per example, add their norms and divide once by the number of examples.",
    apply=apply,
    false_alarm_rate=0.01,
    basis="measured",
)
