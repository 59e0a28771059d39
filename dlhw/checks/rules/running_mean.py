"""Training losses that are running means over an epoch, beside test losses that are taken after it.

The mean of a falling loss over an epoch is above its value at the end. Where the test loss falls from a to b, the mean
of an exponential fall is (a - b)/ln(a/b); the rule measures which share of (mean - b) lies between training and test
loss: about 1 for running means, about 0 or less for losses after the epoch, as training losses are the lower ones.
"""

from __future__ import annotations

import math

import numpy as np

from dlhw.checks.answers import Lacking, Mark
from dlhw.checks.repeats import mean_rows
from dlhw.checks.rule import Rule
from dlhw.checks.starts import classes_of_cross_entropy
from dlhw.checks.tables import Array, Table
from dlhw.present.numbers import format_number

SHARE = 0.35
"""Right curves: at most 0.31, and all but one of 223 at most 0.13; running means: all but two of 200 at least 0.42."""
FALL = 0.03
"""The mean must be above the end by this much, relative, or the two can hardly be told apart."""
LATE = 0.1
"""Excess of training over test, relative, where the loss hardly falls any more: a running mean has none."""
STEEP = 0.5
"""The first epoch is taken in which the fall is at least this part of the steepest: later, training and test part."""


def apply(table: Table) -> Mark | Lacking | None:
    """Mark training losses above the test losses by as much as a mean over the epoch is."""
    if not table.has("train_loss", "test_loss"):
        return Lacking("needs training and test losses")
    number, train, test = mean_rows(table, "train_loss", "test_loss")
    if len(number) < 2 or np.any(np.diff(number) != 1):
        return Lacking("needs a row for every epoch")
    starts = bool(number[0] == 0)
    classes = classes_of_cross_entropy(table)
    known = starts or (number[0] == 1 and classes is not None)
    before = np.concatenate([[math.log(classes) if known and classes and not starts else np.nan], test[:-1]])
    if min(test) <= 0:
        return Lacking("needs losses above zero")
    above = np.array([_above(a, b) for a, b in zip(before, test, strict=True)])
    falls = above / test
    k = int(np.flatnonzero(falls >= STEEP * falls.max())[0])
    if falls[k] < FALL:
        return Lacking("needs epochs in which the test loss falls by more than a few per cent, such as the first")
    share = float((train[k] - test[k]) / above[k])
    late = slice(-max(1, len(test) // 4), None)
    if share > SHARE and np.median((train / test - 1 - 2 * falls)[late]) > LATE:
        return Lacking(
            "the training loss stays above the test loss to the end, as it does with dropout or noise in the labels"
        )
    if share > SHARE:
        return Mark(
            _reason(train, test, above, k, int(number[k])), tuple(map(int, np.flatnonzero(table.x == number[k])))
        )
    if known:
        return None
    return Lacking("needs the kind of the loss and the number of classes, which give the loss at the start")


def _above(before: float, after: float) -> float:
    """Return how much the mean of a fall from one loss to another is above the second; 0 if it is no fall."""
    if not before > after * 1.000001:
        return 0.0
    return float((before - after) / math.log(before / after) - after)


def _reason(train: Array, test: Array, above: Array, k: int, number: int) -> str:
    a, b, c, d = (format_number(float(v[k])) for v in (train, test, above, train - test))
    return (
        f"At epoch {number} the training loss is {a} and the test loss {b}: higher by {d}. "
        f"A mean over the epoch is higher than the loss at its end, here by about {c}; evaluated after the epoch, a "
        "training loss is not above the test loss, but for noise."
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
