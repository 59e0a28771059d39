"""Where a cross entropy starts: at ln(classes), for a net that has learned nothing."""

from __future__ import annotations

import math

from dlhw.checks.tables import Table

LOSSES = ("value", "train_loss")
LOWEST, HIGHEST = 0.94, 1.3
"""Losses of fresh nets relative to log(classes), in either base: hardly below it, and above it for large weights."""


def loss_of(table: Table) -> str | None:
    """Return the column with the training loss."""
    return next((name for name in LOSSES if name in table.columns), None)


def at_start(table: Table) -> bool:
    """Whether the first row is that of the start, epoch or iteration 0."""
    return table.item.columns[0].name in table.columns and float(table.x[0]) == 0


def classes_of_cross_entropy(table: Table) -> int | None:
    """Return the number of classes of a cross entropy; None if the loss is not known to be one."""
    if table.facts.get("kind", "cross-entropy") != "cross-entropy" or not table.has("classes"):
        return None
    classes = int(table.number("classes"))
    return classes if classes > 1 else None


def in_log10(start: float, classes: int) -> bool:
    """Whether a loss at the start is that of a fresh net, in base 10."""
    return LOWEST <= start / math.log10(classes) <= HIGHEST
