"""Labels that are shuffled anew in every epoch.

A net can learn labels that were shuffled once by heart: training accuracy rises from epoch to epoch, slowly in a small
net, and its trend by ranks is above 0.6. In labels that change there is nothing to learn: the accuracies of the epochs
are those of independent guesses, without trend and with the differences of a binomial. A net that hardly moves has no
trend either, but then its accuracies hardly differ, and the rule says that it cannot decide.
"""

from __future__ import annotations

import math

import numpy as np

from dlhw.checks.answers import Lacking, Mark
from dlhw.checks.chance import after_start, classes_of, deviation, examples_of
from dlhw.checks.repeats import repeated
from dlhw.checks.rule import Rule
from dlhw.checks.tables import Array, Table
from dlhw.checks.trends import tau
from dlhw.present.numbers import format_number

FEWEST, FEWEST_ACCURACIES = 8, 15
"""Epochs. The accuracies of a small set hardly show in ten epochs that a net learns; its losses do."""
NO_TREND, TREND = 0.5, 0.65
"""Kendall's tau of the accuracies + z/40, where z is their distance from chance in standard deviations of guesses.
Right runs are hardly ever below 0.66; between the two values the rule does not decide."""
DISTANCE = 40.0
NO_FALL, FALL = 0.4, 0.7
"""Kendall's tau of the losses, where there are no accuracies: at first, losses of both kinds fall."""
LEARNED = 0.2
"""Part of the way from chance to 1: a net that got so far has labels that stay."""
LEARNED_LOSS = 0.07
"""The same of the loss, from ln(classes) to 0."""
STEADY = 0.9
"""Kendall's tau of losses that fall in nearly every epoch, as they do on labels that stay, however slowly."""
NOISE = 0.3
"""Differences between epochs, relative to those of independent guesses. Right runs without a trend: at most 0.22."""
SLOW = "needs more epochs, or a larger learning rate: the net has hardly learned"


def apply(table: Table) -> Mark | Lacking | None:
    """Mark training accuracies at chance that scatter from epoch to epoch and do not rise."""
    if repeated(table):
        return Lacking("needs the epochs of one training alone")
    epochs = int((table.x > 0).sum())
    if epochs < (FEWEST if table.has("train_loss") else FEWEST_ACCURACIES):
        return Lacking(f"needs {FEWEST} epochs with the training loss, or {FEWEST_ACCURACIES} without")
    classes = classes_of(table)
    loss = after_start(table, "train_loss") if table.has("train_loss") else None
    if loss is not None and _fall(loss, classes) > LEARNED_LOSS:
        return None
    if not table.has("train_accuracy"):
        return Lacking("needs the training accuracy") if loss is None else _by_loss(loss, classes)
    outcome = _by_accuracy(after_start(table, "train_accuracy"), classes, examples_of(table))
    steady = loss is not None and -tau(loss) > STEADY
    return Lacking(SLOW) if steady and isinstance(outcome, Mark) else outcome


def _by_accuracy(accuracy: Array, classes: int, examples: int) -> Mark | Lacking | None:
    chance, guesses = 1 / classes, deviation(classes, examples)
    late = float(accuracy[len(accuracy) // 2 :].mean())
    trend = tau(accuracy) + (late - chance) / guesses / DISTANCE
    if late - chance > LEARNED * (1 - chance) or abs(trend) > TREND:
        return None
    noise = math.sqrt(float((np.diff(accuracy) ** 2).mean()) / 2) / guesses
    if abs(trend) > NO_TREND or noise < NOISE:
        return Lacking(SLOW)
    return Mark(
        f"After {len(accuracy)} epochs the training accuracy is at chance, {format_number(late)}, does not rise, and "
        "jumps from epoch to epoch as independent guesses do. Labels that are shuffled once are learned by heart, if "
        "slowly; these seem to be drawn anew in every epoch."
    )


def _by_loss(loss: Array, classes: int) -> Mark | Lacking | None:
    fall, chance = -tau(loss), math.log(classes)
    if fall > FALL and _fall(loss, classes) > LEARNED_LOSS / 2:
        return None
    if fall > NO_FALL:
        return Lacking("needs the training accuracy: the loss falls a little, as it does in a net that learns nothing")
    return Mark(
        f"After {len(loss)} epochs the training loss is at {format_number(float(loss[-1]))}, near "
        f"ln({classes}) = {chance:.3f}, and does not fall. Labels that are shuffled once are learned by heart, if "
        "slowly; these seem to be drawn anew in every epoch."
    )


def _fall(loss: Array, classes: int) -> float:
    """Return how far the later half of the losses lies below ln(classes), relative."""
    return 1 - float(loss[len(loss) // 2 :].mean()) / math.log(classes)


RULE = Rule(
    code="labels-drawn-anew",
    items=("random-labels",),
    kind="mistake",
    title="labels that are shuffled anew in every epoch",
    remedy="Shuffle the labels once, before the training, and keep them: outside the data loader, with a fixed seed.",
    apply=apply,
    false_alarm_rate=0.01,
    basis="measured",
)
