"""A cross entropy that starts far from ln(classes)."""

from __future__ import annotations

import math

from dlhw.checks.answers import Lacking, Mark
from dlhw.checks.rule import Rule
from dlhw.checks.starts import at_start, classes_of_cross_entropy, in_log10, loss_of
from dlhw.checks.tables import Table
from dlhw.present.numbers import format_number

HIGHEST = 2.0
"""Times ln(classes). Fresh nets with the usual initial weights and inputs of unit scale start at up to 1.4 times."""
NEAR = 0.03
"""Relative distance to a value that a known slip gives."""


def apply(table: Table) -> Mark | Lacking | None:
    """Mark a first loss above twice ln(classes), or at a value that a slip gives."""
    name, classes = loss_of(table), classes_of_cross_entropy(table)
    if name is None or classes is None:
        return Lacking("needs a cross entropy and its number of classes")
    start, chance, fresh = float(table[name][0]), math.log(classes), at_start(table)
    if start > HIGHEST * chance:
        return Mark(_reason(start, chance, classes, fresh) + _high(start / chance), (0,))
    if not fresh:
        return Lacking("needs the loss at epoch 0, before training") if start < chance / HIGHEST else None
    if "kind" not in table.facts or in_log10(start, classes):
        return None  # squared errors start so low, and the base 10 has a rule of its own
    slips = (
        (math.log(2), "ln 2: a binary cross entropy, averaged over the outputs"),
        (chance / classes, f"ln({classes})/{classes}: a mean over the classes in place of a sum"),
    )
    for value, words in slips:
        if classes > 2 and abs(start / value - 1) <= NEAR:
            return Mark(_reason(start, chance, classes, fresh) + f"It is {words}.", (0,))
    return None


def _reason(start: float, chance: float, classes: int, fresh: bool) -> str:
    first = "The loss starts at" if fresh else "The first loss is"
    return f"{first} {format_number(start)}; guessing among {classes} classes costs ln({classes}) = {chance:.3f}. "


def _high(ratio: float) -> str:
    """Return what a loss that is too high by a factor may be."""
    size = next((2**k for k in range(2, 13) if abs(ratio / 2**k - 1) < 0.08), None)
    if size:
        return f"It is {ratio:.1f} times as much: summed over batches of {size}, or inputs or logits of a large scale."
    return f"It is {ratio:.1f} times as much: a sum over examples, or inputs or logits of a large scale."


RULE = Rule(
    code="start-off",
    items=("loss", "loss-curve", "random-labels"),
    kind="mistake",
    title="a cross entropy that does not start at the logarithm of the number of classes",
    remedy="Divide by the number of examples once, scale the inputs to about 1, and let the loss take logits where "
    "the net returns logits.",
    apply=apply,
    false_alarm_rate=0.01,
    basis="measured",
)
