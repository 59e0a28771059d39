"""Test accuracy above chance after training on shuffled labels.

Nothing that is learned from shuffled labels helps on true ones, so on average the test accuracy is that of guessing and
the test loss at least ln(classes). A binomial bound is too narrow: a net gives similar images one label, so that it
guesses some tens of times and not once an image. The thresholds are those of right runs.
"""

from __future__ import annotations

import math

from dlhw.checks.answers import Lacking, Mark
from dlhw.checks.chance import after_start, classes_of
from dlhw.checks.rule import Rule
from dlhw.checks.tables import Table
from dlhw.present.numbers import format_number

BOTH, ACCURACY, LOSS = 0.22, 0.17, 0.075
"""Gain in accuracy + 2 gain in loss, or one of them. Of 1229 right runs, 99.5 % are below 0.17, 0.10 and 0.045."""
LEARNED = 0.1
"""Gain in training accuracy. Below it, a net shows little of what its labels were."""


def apply(table: Table) -> Mark | Lacking | None:
    """Mark test accuracies and losses that are better than guessing."""
    classes, names = classes_of(table), [n for n in ("test_accuracy", "test_loss") if table.has(n)]
    if not names or not (table.x > 0).any():
        return Lacking("needs the test accuracy or the test loss, after epoch 0")
    chance, uniform = 1 / classes, math.log(classes)
    accuracy = float(after_start(table, "test_accuracy").mean()) if "test_accuracy" in names else chance
    lowest = float(after_start(table, "test_loss").min()) if "test_loss" in names else uniform
    of_accuracy, of_loss = (accuracy - chance) / (1 - chance), 1 - lowest / uniform
    either = of_accuracy > ACCURACY or of_loss > LOSS
    marked = of_accuracy + 2 * of_loss > BOTH if len(names) == 2 else either
    if not marked:
        return Lacking("the net hardly learns its training labels") if _untrained(table) else None
    parts = [f"the mean test accuracy is {format_number(accuracy)} where guessing gives {format_number(chance)}"]
    parts = parts if "test_accuracy" in names else []
    if "test_loss" in names and of_loss > 0:
        parts.append(f"the test loss falls to {format_number(lowest)} where guessing gives {uniform:.3f}")
    return Mark(
        f"On true labels, {' and '.join(parts)}. Shuffled labels teach nothing about true ones, so true labels were "
        "among those of the training, or the test labels were not the true ones."
    )


def _untrained(table: Table) -> bool:
    if not table.has("train_accuracy"):
        return False
    accuracy, chance = after_start(table, "train_accuracy"), 1 / classes_of(table)
    return float(accuracy[len(accuracy) // 2 :].mean()) - chance < LEARNED * (1 - chance)


RULE = Rule(
    code="labels-leaked",
    items=("random-labels",),
    kind="mistake",
    title="true labels in the training on shuffled ones",
    remedy="Check that the net trains on the shuffled copy, that all labels are shuffled, and that images and labels "
    "are not shuffled together.",
    apply=apply,
    false_alarm_rate=0.01,
    basis="measured",
)
