"""A loss that is not finite: when it happened first, and in which layer."""

from __future__ import annotations

import numpy as np

from dlhw.present.numbers import format_number
from dlhw.watch.diagnosis import Diagnosis
from dlhw.watch.findings import sources
from dlhw.watch.findings.recorded import CLASSIFICATION, listed, not_finite, place, ratio
from dlhw.watch.spec import Result, Settings

GREW = 10.0
"""A loss that grew so many times above its beginning before it ended: the steps were too long."""
SHORT = 5
"""Batches within which a loss that is not finite points at the data or the loss rather than at the steps."""


def loss_not_finite(settings: Settings, result: Result) -> list[Diagnosis]:
    """A loss that is infinite or not a number, with the first batch and layer, and what speaks for its cause."""
    bad = not_finite(result)
    if not bad.any():
        return []
    row = int(np.argmax(bad))
    layer = result.nonfinite_layer or _layer_of_gradient(result, row)
    where = f", first in the output of layer {layer}" if layer else ""
    text = f"The loss is not finite {place(int(result.step[row]))}{where}"
    cause, remedy = _cause(result, row)
    before = result.loss[:row][np.isfinite(result.loss[:row])]
    evidence = {"share_of_steps": float(bad.mean())}
    if before.size:
        evidence |= {"first_loss": float(before[0]), "last_finite_loss": float(before[-1])}
    return [
        Diagnosis(
            "loss-not-finite",
            f"{text}: {cause}.",
            severity="severe",
            layer=layer,
            step=int(result.step[row]),
            evidence=evidence,
            remedy=remedy,
            source=sources.WARDAT,
        )
    ]


def _cause(result: Result, row: int) -> tuple[str, str]:
    """Return what speaks for a cause, and the remedy."""
    facts = result.facts
    for share, what in ((facts.input_nonfinite, "inputs"), (facts.target_nonfinite, "targets")):
        if share > 0:
            return (
                f"{100 * share:.3g} % of the {what} of the first batch are not finite",
                f"Remove or replace missing and infinite values in the {what} before training.",
            )
    before = result.loss[:row][np.isfinite(result.loss[:row])]
    lengths = ratio(result.update_norm[:row], result.weight_norm[:row])
    longest = float(np.nanmax(lengths)) if np.isfinite(lengths).any() else float("nan")
    if before.size and before.max() > GREW * max(abs(float(before[0])), 1e-12):
        return (
            f"before that the loss grew from {format_number(float(before[0]))} to {format_number(float(before.max()))}",
            "Lower the learning rate tenfold, scale inputs and targets, and clip the gradient (`clipnorm=1`).",
        )
    if longest > 1:
        return (
            f"before that an update was {format_number(longest)} times as long as the weights",
            "Lower the learning rate tenfold, scale inputs and targets, and clip the gradient (`clipnorm=1`).",
        )
    if row < SHORT:
        return (
            "it happened in the first batches, which points at the data or at the loss rather than at the steps",
            "Look for missing values, labels outside of the classes, and log or division by 0 in a loss of your own.",
        )
    advice = "Look for log, square root or division by 0 in layers and losses of your own, and lower the learning rate."
    if facts.loss in CLASSIFICATION:
        advice = (
            "Look for missing values in later batches, prefer a loss with from_logits=True, lower the learning rate."
        )
    return "until then the loss was of ordinary size", advice


def _layer_of_gradient(result: Result, row: int) -> str:
    """Return the last layer whose gradient is not finite, unless none is: backpropagation spreads what is not."""
    bad = np.nan_to_num(result.nonfinite_share[row]) > 0
    names = [name for name, flag in zip(result.layers, bad, strict=True) if flag]
    return listed(names[-1:]) if names and not bad.all() else ""
