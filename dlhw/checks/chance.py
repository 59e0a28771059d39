"""What guessing gives on labels that were shuffled once."""

from __future__ import annotations

import math

from dlhw.checks.tables import Array, Table

CLASSES, EXAMPLES = 10, 60000
"""Those of MNIST, where they are not given."""


def classes_of(table: Table) -> int:
    """Return the number of classes: that of MNIST where it is not given."""
    return max(2, int(table.number("classes"))) if table.has("classes") else CLASSES


def examples_of(table: Table) -> int:
    """Return the number of training examples: that of MNIST where it is not given."""
    return max(1, int(table.number("examples"))) if table.has("examples") else EXAMPLES


def deviation(classes: int, examples: int) -> float:
    """Return the standard deviation of the accuracy of guesses: binomial."""
    return math.sqrt((1 - 1 / classes) / classes / examples)


def after_start(table: Table, name: str) -> Array:
    """Return a column without epoch 0, the untrained net."""
    return table[name][table.x > 0]
