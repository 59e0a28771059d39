"""Columns of training and test that are exchanged: the training loss rises while the test loss goes on falling."""

from __future__ import annotations

import numpy as np

from dlhw.checks.answers import Lacking, Mark
from dlhw.checks.repeats import mean_rows
from dlhw.checks.rule import Rule
from dlhw.checks.tables import Table
from dlhw.present.numbers import format_number

FEWEST = 8
APART, RISE = 0.5, 1.1
"""The lower loss ends below half of the other, which ends a tenth above its minimum."""


def apply(table: Table) -> Mark | Lacking | None:
    """Mark a training loss that behaves as the test loss of a net that overfits."""
    lacking = Lacking(f"needs training and test losses of {FEWEST} epochs")
    if not table.has("train_loss", "test_loss"):
        return lacking
    epochs, train, test = mean_rows(table, "train_loss", "test_loss")
    if len(epochs) < FEWEST:
        return lacking
    if min(train.min(), test.min()) < 0:
        return Lacking("needs losses that are not below zero")
    late = slice(-max(2, len(epochs) // 4), None)
    end, lower = float(np.median(train[late])), float(np.median(test[late]))
    if min(end, lower) >= APART * max(end, lower):
        return Lacking("training and test loss end close to one another; only a net that overfits tells them apart")
    if lower > end or end <= RISE * float(train.min()) or int(np.argmin(test)) < len(epochs) // 2:
        return None
    return Mark(
        f"The training loss rises from {format_number(float(train.min()))} to {format_number(end)} while the test loss "
        f"falls to {format_number(lower)}. Overfitting raises the test loss and lowers the training loss."
    )


RULE = Rule(
    code="train-and-test-swapped",
    items=("loss-curve", "random-labels"),
    kind="mistake",
    title="training and test columns that are exchanged",
    remedy="Check which set every column was computed on.",
    apply=apply,
    false_alarm_rate=0.01,
    basis="measured",
)
