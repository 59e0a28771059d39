"""Accuracy on the training labels below what guessing gives.

A net that has not learned has predictions that do not depend on the shuffled labels: its accuracy is that of guesses,
with the standard deviation sqrt(p (1 - p)/N). A net that has learned is above that. Classes of a data set differ in
size by up to a tenth (MNIST: 9.0 to 11.2 %), so guessing gives 0.9/classes at least.
"""

from __future__ import annotations

import numpy as np

from dlhw.checks.answers import Lacking, Mark
from dlhw.checks.chance import classes_of, deviation, examples_of
from dlhw.checks.rule import Rule
from dlhw.checks.tables import Table
from dlhw.present.numbers import format_number

IMBALANCE = 0.9
DEVIATIONS = 3.0
"""One-sided 1.3e-3, if every prediction is the smallest class; 3e-6 with 2000 examples, if all classes are predicted.
The rows of a table are one net, whose accuracies move together."""
FEW_EXAMPLES = 1000
"""Where their number is not given, a table with as few does not carry the mark either."""


def apply(table: Table) -> Mark | Lacking | None:
    """Mark training accuracies under chance by more than three standard deviations."""
    if not table.has("train_accuracy"):
        return Lacking("needs the training accuracy")
    classes, accuracy = classes_of(table), table["train_accuracy"]
    bound = IMBALANCE / classes - DEVIATIONS * deviation(classes, examples_of(table))
    rows = np.flatnonzero(accuracy < bound)
    if not len(rows):
        return None
    few = IMBALANCE / classes - DEVIATIONS * deviation(classes, FEW_EXAMPLES)
    if not table.has("examples") and float(accuracy.min()) >= few:
        return Lacking("needs the number of training examples")
    lowest = int(np.argmin(accuracy))
    return Mark(
        f"The training accuracy is {format_number(float(accuracy[lowest]))} at epoch {table.x[lowest]:g}. Guessing "
        f"among {classes} classes gives {format_number(1 / classes)} and training on these labels can only raise it, "
        "so it was computed against labels other than those of the training.",
        tuple(map(int, rows)),
    )


RULE = Rule(
    code="train-accuracy-under-chance",
    items=("random-labels",),
    kind="mistake",
    title="a training accuracy below that of guessing",
    remedy="Evaluate on the labels that the net is trained on, numbered from 0.",
    apply=apply,
    false_alarm_rate=0.002,
    basis="binomial",
)
