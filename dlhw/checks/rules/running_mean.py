"""Training losses that are running means over an epoch, beside test losses that are taken after it.

The mean of a falling loss over an epoch is above its value at the end. Where the test loss falls from a to b, the mean of
an exponential fall is (a - b)/ln(a/b); the rule measures which share of (mean - b) lies between training and test loss:
about 1 for running means, about 0 or less for losses after the epoch, as training losses are the lower ones.
"""

from __future__ import annotations

import math

import numpy as np

from dlhw.checks.answers import Lacking, Mark
from dlhw.checks.rule import Rule
from dlhw.checks.starts import classes_of
from dlhw.checks.tables import Array, Table
from dlhw.present.numbers import format_number

SHARE = 0.35
"""Right curves: at most 0.31, and all but one of 160 at most 0.13; running means: 0.42 and more."""
FALL = 0.03
"""The mean must be above the end by this much, relative, or the two can hardly be told apart."""
STEEP = 0.5
"""The first epoch is taken in which the fall is at least this part of the steepest: later, training and test part."""


def apply(table: Table) -> Mark | Lacking | None:
    """Mark training losses above the test losses by as much as a mean over the epoch is."""
    if not table.has("train_loss", "test_loss"):
        return Lacking("training and test losses")
    if table.rows < 2 or np.any(np.diff(table.x) != 1):
        return Lacking("a row for every epoch")
    train, test, number = table["train_loss"], table["test_loss"], table.x
    starts = bool(number[0] == 0)
    classes = classes_of(table)
    known = starts or (number[0] == 1 and classes is not None)
    before = np.concatenate([[math.log(classes) if known and classes and not starts else np.nan], test[:-1]])
    if min(test) <= 0:
        return Lacking("losses above zero")
    above = np.array([_above(a, b) for a, b in zip(before, test, strict=True)])
    falls = above / test
    k = int(np.flatnonzero(falls >= STEEP * falls.max())[0])
    if falls[k] < FALL:
        return Lacking("epochs in which the test loss falls by more than a few per cent, such as the first")
    share = float((train[k] - test[k]) / above[k])
    if share > SHARE:
        return Mark(_reason(train, test, k, share, int(number[k])), (k,))
    return (
        None if known else Lacking("the kind of the loss and the number of classes, which give the loss at the start")
    )


def _above(before: float, after: float) -> float:
    """Return how much the mean of a fall from one loss to another is above the second; 0 if it is no fall."""
    if not before > after * 1.000001:
        return 0.0
    return float((before - after) / math.log(before / after) - after)


def _reason(train: Array, test: Array, k: int, share: float, number: int) -> str:
    a, b = format_number(float(train[k])), format_number(float(test[k]))
    return (
        f"After epoch {number} the training loss is {a} and the test loss {b}: {100 * share:.0f} % of what a mean over "
        "the epoch would be above its end. Evaluated after the epoch, a training loss is not above the test loss, "
        "but for noise."
    )


RULE = Rule(
    code="running-mean",
    items=("loss-curve",),
    kind="mistake",
    title="training losses that are running means over changing weights",
    remedy="Evaluate the training set after the epoch, as the test set: `model.evaluate(x_train, y_train)`.",
    apply=apply,
    false_alarm_rate=0.01,
    basis="measured",
)
