"""A loss or weights that are not finite: when it happened first, in which layer, and what speaks for a cause."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from dlhw.present.numbers import format_number
from dlhw.watch.diagnosis import Diagnosis
from dlhw.watch.findings import sources
from dlhw.watch.findings.recorded import KERAS_LOSSES, losses_not_finite, place, ratio, updates_not_finite
from dlhw.watch.spec import Result, Settings

GREW = 10.0
"""A loss that grew so many times above its beginning before it ended: the steps were too long."""
LONG = 1.0
"""Update norm over weight norm: a step that replaced all weights."""
SHORT = 5
"""Batches within which a loss that is not finite points at the data or the loss rather than at the steps."""


class Cause(NamedTuple):
    """What speaks for a cause, where it lies, and what to do."""

    text: str
    place: str
    remedy: str


def loss_not_finite(settings: Settings, result: Result) -> list[Diagnosis]:
    """A loss that is infinite or not a number, or weights that are while the loss hides it."""
    lost = losses_not_finite(result)
    hidden = updates_not_finite(result)
    bad = lost | hidden
    if not bad.any():
        return []
    row = int(np.argmax(bad))
    step = int(result.step[row])
    names = [name for name, share in zip(result.layers, result.nonfinite_share[row], strict=True) if share > 0]
    if lost[row] or len(names) in (0, len(result.layers)):
        layer = result.nonfinite_layer
        text = f"The loss is not finite {place(step)}{f', first in the output of layer {layer}' if layer else ''}"
        cause = _cause(result, row)
    else:
        layer = names[-1]
        text = f"The gradient of layer {layer} is not finite {place(step)}, although the loss is"
        cause = _hidden(result, layer)
    before = result.loss[:row][np.isfinite(result.loss[:row])]
    evidence = {"share_of_steps": float(bad.mean())}
    if before.size:
        evidence |= {"first_loss": float(before[0]), "last_finite_loss": float(before[-1])}
    return [
        Diagnosis(
            "loss-not-finite",
            f"{text}: {cause.text}.",
            severity="severe",
            layer=layer,
            place=cause.place,
            step=step,
            evidence=evidence,
            remedy=cause.remedy,
            source=sources.WARDAT,
        )
    ]


def _cause(result: Result, row: int) -> Cause:
    """Return what speaks for the cause of a loss that is not finite from a row on."""
    facts = result.facts
    for share, what in ((facts.input_nonfinite, "inputs"), (facts.target_nonfinite, "targets")):
        if share > 0:
            return Cause(
                f"{100 * share:.3g} % of the {what} of the first batch are not finite",
                "data",
                f"Remove or replace missing and infinite values in the {what} before training.",
            )
    before = result.loss[:row][np.isfinite(result.loss[:row])]
    lengths = ratio(result.update_norm[:row], result.weight_norm[:row])
    longest = float(np.nanmax(lengths)) if np.isfinite(lengths).any() else float("nan")
    shorter = "Lower the learning rate tenfold, scale inputs and targets, and clip the gradient (`clipnorm=1`)."
    if before.size and before.max() > GREW * max(abs(float(before[0])), 1e-12):
        first, highest = format_number(float(before[0])), format_number(float(before.max()))
        return Cause(f"before that the loss grew from {first} to {highest}", "optimizer", shorter)
    if longest > LONG:
        text = f"before that an update was {format_number(longest)} times as long as the weights"
        return Cause(text, "optimizer", shorter)
    if facts.loss and facts.loss not in KERAS_LOSSES:
        return Cause(
            f"until then it was of ordinary size, and the loss {facts.loss} is not one of Keras, so it may take a "
            "logarithm, root or quotient of 0",
            "loss",
            "Clip the arguments of log, sqrt and / (`keras.ops.clip`), or use the loss of Keras, which does so.",
        )
    if row < SHORT:
        text = "it happened in the first batches, which points at the data rather than at the steps"
    else:
        text = "until then it was of ordinary size, which points at missing values in later batches"
    remedy = "Look for missing and infinite values, labels outside of the classes, and log or division by 0 in layers."
    return Cause(text, "data", remedy)


def _hidden(result: Result, layer: str) -> Cause:
    """Return the cause of a gradient that is not finite in some layers, behind which relu and its like hide it."""
    if layer == result.layers[0]:
        text = (
            "the gradients of the later layers are finite, so the inputs have missing values, which relu turns into 0"
        )
        return Cause(text, "data", "Remove or replace missing and infinite values in the inputs before training.")
    text = "an activation behind it turns what is not a number into 0"
    return Cause(text, "", "Look for log, square root or division by 0 in this layer, and in those before it.")
