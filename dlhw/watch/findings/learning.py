"""A training that learned nothing, and weights or dropout that do not let it."""

from __future__ import annotations

import math

import numpy as np

from dlhw.present.numbers import format_number
from dlhw.watch.diagnosis import Diagnosis
from dlhw.watch.findings import sources
from dlhw.watch.findings.progress import Progress, progress
from dlhw.watch.findings.ratios import LOW
from dlhw.watch.findings.recorded import classes, listed, median, one_median, ratio, update_ratios
from dlhw.watch.spec import Result, Settings

SMALL_GRADIENT = 1e-2
"""Gradient norm times weight norm over loss: the relative change of the loss, to first order, when the weights change
by their own size. Trainings that learn have 0.1 to 100."""
EXTREME = 0.8
"""Share of inputs that Dropout drops; up to 0.5 is usual, and more than 0.8 leaves less than a fifth of a layer."""
TOO_LONG = 0.05
"""Update ratio at which the steps, rather than the labels, may be why nothing was learned."""


def nothing_learned(settings: Settings, result: Result) -> list[Diagnosis]:
    """A loss no better than that of a constant output, and what speaks for its cause."""
    state = progress(result)
    if not state.nothing or not state.finite or math.isnan(state.chance):
        return []
    text = (
        f"Nothing was learned in {state.steps:,} steps: the loss is {format_number(state.end)} at the end, and a "
        f"constant output gives {format_number(state.chance)}{_meaning(result)}; "
    )
    cause, remedy, evidence = _cause(result, state)
    return [
        Diagnosis(
            "nothing-learned",
            f"{text}{cause}.",
            severity="severe",
            evidence={"start": state.start, "end": state.end, "chance": state.chance, **evidence},
            remedy=remedy,
            source=sources.SANITY if "labels" not in cause else sources.ZHANG,
        )
    ]


def _meaning(result: Result) -> str:
    shares = result.facts.probe_label_shares
    if shares:
        return f" (the entropy of the {len(shares)} classes)"
    return " (the variance of the targets)"


def _cause(result: Result, state: Progress) -> tuple[str, str, dict[str, float]]:
    """Return what speaks for a cause, the remedy, and the numbers."""
    rows = slice(len(result.step) // 2, None)
    whole = np.sqrt(np.nansum(np.square(result.gradient_norm[rows]), axis=1))
    weights = np.sqrt(np.nansum(np.square(result.weight_norm[rows]), axis=1))
    relative = one_median(ratio(whole * weights, np.abs(result.loss[rows])))
    longest = median(update_ratios(result)[rows])
    update = float(np.nanmax(longest)) if np.isfinite(longest).any() else float("nan")
    evidence = {"relative_gradient": relative, "update_ratio": update}
    if update < LOW:
        return "the updates are too short to change the weights", "Raise the learning rate.", evidence
    if relative < SMALL_GRADIENT:
        return (
            f"the gradient is small (norm times weight norm over loss: {format_number(relative)})",
            "Look for dead or saturated units and vanishing gradients, and scale the inputs.",
            evidence,
        )
    if update > TOO_LONG:
        return (
            f"the updates are long ({format_number(100 * update)} % of the weights)",
            "Lower the learning rate tenfold; if that does not help, check that labels belong to their inputs.",
            evidence,
        )
    return (
        "gradients and updates are of ordinary size, so the labels may have nothing to do with the inputs",
        "Check that inputs and labels are in the same order (not one shuffled alone), and fit 20 examples first.",
        evidence,
    )


def constant_weights(settings: Settings, result: Result) -> list[Diagnosis]:
    """Kernels of one value at the start: all units of the layer compute the same and get the same gradient for ever.

    The last layer may start at a constant: its units differ by their targets, as in logistic regression.
    """
    constant = [name for name in result.facts.constant_layers if name not in _last(result)]
    if not constant:
        return []
    text = (
        f"All weights of {'layers' if len(constant) > 1 else 'layer'} {listed(constant)} start at the same value, so "
        "its units stay copies of one another."
    )
    return [
        Diagnosis(
            "constant-weights",
            text,
            severity="severe",
            layer=constant[0],
            evidence={"layers": float(len(constant))},
            remedy="Initialize kernels at random (`glorot_uniform`, `he_normal`); only biases start at 0.",
            source=sources.GOODFELLOW,
        )
    ]


def _last(result: Result) -> tuple[str, ...]:
    return (result.facts.output_layer, *result.layers[-1:])


def dropout_extreme(settings: Settings, result: Result) -> list[Diagnosis]:
    """Dropout that drops nearly everything: since TensorFlow 2 the rate is the share that is dropped."""
    highest = max(result.facts.dropout, default=0.0)
    if highest < EXTREME:
        return []
    text = f"A Dropout layer drops {100 * highest:.0f} % of its inputs in every step."
    return [
        Diagnosis(
            "dropout-extreme",
            text,
            severity="warning",
            evidence={"rate": highest, "outputs": float(classes(result.facts))},
            remedy="Use a rate of 0.1 to 0.5: the rate is the share that is dropped, not the share that stays.",
            source=sources.SRIVASTAVA,
        )
    ]
