"""A training that learned nothing, and weights or dropout that do not let it."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from dlhw.present.numbers import format_number
from dlhw.watch.diagnosis import Diagnosis
from dlhw.watch.findings import sources
from dlhw.watch.findings.progress import FEWEST, NOTHING, Progress, chance, progress
from dlhw.watch.findings.ratios import LOW
from dlhw.watch.findings.recorded import hidden, median, one_median, ratio, update_ratios
from dlhw.watch.spec import Result, Settings

SMALL_GRADIENT = 1e-2
"""Gradient norm times weight norm over loss: the relative change of the loss, to first order, when the weights change
by their own size. Trainings that learn have 0.1 to 100."""
RESOLVED = 3.0
"""Standard errors above the largest class at which an accuracy on the probe is better than chance."""
LINEAR = {"Dense", "Conv1D", "Conv2D", "Conv3D", "SeparableConv1D", "SeparableConv2D", "DepthwiseConv2D"}
"""Layers that are linear without an activation."""
ORDER = "Check that inputs and labels are in the same order (not one shuffled alone), and fit 20 examples first."
SEVERAL = 16
"""Examples of a batch that have one class by chance in one of 32,000 batches, with two equal classes."""
TOO_LONG = 0.05
"""Update ratio at which the steps, rather than the labels, may be why nothing was learned."""


class Cause(NamedTuple):
    """What speaks for a cause, where it lies, and what to do."""

    text: str
    place: str
    remedy: str
    layer: str = ""


def nothing_learned(settings: Settings, result: Result) -> list[Diagnosis]:
    """A loss no better than that of a constant output, and what speaks for its cause."""
    state = progress(result)
    if not state.finite or math.isnan(state.chance):
        return []
    if not state.nothing:
        return _by_heart(settings, result, state)
    cause, evidence = _cause(result)
    text = (
        f"Nothing was learned in {state.steps:,} steps: the loss is {format_number(state.end)} at the end, and a "
        f"constant output gives {format_number(state.chance)}{_meaning(result)}; {cause.text}."
    )
    return [_finding(text, cause, {"start": state.start, "end": state.end, "chance": state.chance, **evidence})]


def _finding(text: str, cause: Cause, evidence: dict[str, float]) -> Diagnosis:
    return Diagnosis(
        "nothing-learned",
        text,
        severity="severe",
        layer=cause.layer,
        place=cause.place,
        evidence=evidence,
        remedy=cause.remedy,
        source=sources.ZHANG if cause.place == "data" else sources.SANITY,
    )


def _by_heart(settings: Settings, result: Result, state: Progress) -> list[Diagnosis]:
    """What was learned from the training examples never made the probe better than chance."""
    losses, accuracies = (a[np.isfinite(a)] for a in (result.probe_loss, result.probe_accuracy))
    shares = result.facts.probe_label_shares
    if state.steps < FEWEST or len(losses) < 2:
        return []
    lowest = float(losses[1:].min())
    if lowest < (1 - NOTHING) * state.chance:
        return []
    if shares:  # outputs that are right but too sure have a high loss
        error = math.sqrt(max(shares) * (1 - max(shares)) / max(settings.probe, 1))
        if len(accuracies) < 2 or accuracies[1:].max() > max(shares) + RESOLVED * error:
            return []
    cause = _sorted(result)
    if cause is not None:
        text = (
            f"Nothing was learned that holds for the probe: its loss was never below {format_number(lowest)}, where a "
            f"constant output gives {format_number(state.chance)}{_meaning(result)}; {cause.text}."
        )
        return [_finding(text, cause, {"probe": lowest, "chance": state.chance})]
    text = (
        f"What was learned from the training examples holds for no others: their loss fell to "
        f"{format_number(state.end)}, but that of the probe was never below {format_number(lowest)}, "
        f"where a constant output gives {format_number(state.chance)}{_meaning(result)}."
    )
    evidence = {"end": state.end, "probe": lowest, "chance": state.chance}
    return [_finding(text, Cause("", "data", ORDER), evidence)]


def _meaning(result: Result) -> str:
    shares = result.facts.probe_label_shares
    if shares:
        return f" (the entropy of the {len(shares)} classes)"
    return " (the variance of the targets)"


def _cause(result: Result) -> tuple[Cause, dict[str, float]]:
    """Return what speaks for a cause, and the numbers."""
    rows = slice(len(result.step) // 2, None)
    whole = np.sqrt(np.nansum(np.square(result.gradient_norm[rows], dtype=float), axis=1))
    weights = np.sqrt(np.nansum(np.square(result.weight_norm[rows], dtype=float), axis=1))
    relative = one_median(ratio(whole * weights, np.abs(result.loss[rows])))
    longest = median(update_ratios(result)[rows])
    update = float(np.nanmax(longest)) if np.isfinite(longest).any() else float("nan")
    evidence = {"relative_gradient": relative, "update_ratio": update}
    return _by_numbers(result, relative, update), evidence


def _sorted(result: Result) -> Cause | None:
    """Return that the data are in the order of their targets, which the first batch shows."""
    if result.facts.target_distinct != 1 or not one_median(result.examples) >= SEVERAL:
        return None
    return Cause(
        "all examples of the first batch have the same target, so the data are sorted or have one class only",
        "data",
        "Shuffle the data before training (`shuffle=True`, or `Dataset.shuffle` over all examples).",
    )


def _by_numbers(result: Result, relative: float, update: float) -> Cause:
    facts = result.facts
    in_order = _sorted(result)
    if in_order is not None:
        return in_order
    if update < LOW:
        return Cause("the updates are too short to change the weights", "optimizer", "Raise the learning rate.")
    if facts.penalty > chance(facts):
        text = f"regularizers added {format_number(facts.penalty)} to the loss at the start, and pull all weights to 0"
        return Cause(text, "loss", "Lower the strength of the regularizers, or remove them.")
    if progress(result).falling:
        text = "the loss still falls evenly, so the training is too short or its updates are"
        return Cause(text, "optimizer", "Raise the learning rate, or train for more epochs.")
    if relative < SMALL_GRADIENT:
        return Cause(
            f"the gradient is small (norm times weight norm over loss: {format_number(relative)})",
            "",
            "Look for dead or saturated units and vanishing gradients, and scale the inputs.",
        )
    if update > TOO_LONG:
        return Cause(
            f"the updates are long ({format_number(100 * update)} % of the weights)",
            "optimizer",
            "Lower the learning rate tenfold; if that does not help, check that labels belong to their inputs.",
        )
    if len(result.layers) > 1 and not hidden(result).any() and {*facts.layer_kinds} <= LINEAR and facts.layer_kinds:
        return Cause(
            "the hidden layers have no activation, so the whole net is linear",
            "",
            "Give the hidden layers an activation, such as relu.",
            result.layers[0],
        )
    text = "gradients and updates are of ordinary size, so the labels may have nothing to do with the inputs"
    return Cause(text, "data", ORDER)
