"""Outputs of a classifier and its loss: which activation each loss expects, and what the labels are numbered like."""

from __future__ import annotations

import math

import numpy as np

from dlhw.present.numbers import format_number
from dlhw.watch.diagnosis import Diagnosis, Severity
from dlhw.watch.findings import sources
from dlhw.watch.findings.recorded import BINARY, CATEGORICAL, REGRESSION, SPARSE, classes
from dlhw.watch.spec import Facts, Result, Settings

PROBABILITIES = ("softmax", "sigmoid", "hard_sigmoid")
KNOWN = ("linear", "relu", "tanh", "elu", "selu", "softplus", "softsign", "leaky_relu", "gelu", "silu", "exponential")
"""Activations whose values leave 0 to 1. Others, of the user's, may be probabilities."""
BINARY_LABELS, MANY_LABELS = 2, 20
"""Distinct whole numbers between which targets may be class labels."""
UNDONE = 0.98
"""A loss below this share of the lowest that two softmaxes allow shows that Keras undid one of them."""


def output_and_loss(settings: Settings, result: Result) -> list[Diagnosis]:
    """Outputs, loss and labels of a classifier that do not fit each other: at most one finding, the worst."""
    facts = result.facts
    for check in CHECKS:
        finding = check(facts, result)
        if finding is not None:
            return [finding]
    return []


def _diagnosis(facts: Facts, text: str, remedy: str, severity: Severity = "severe", **evidence: float) -> Diagnosis:
    return Diagnosis(
        "output-and-loss",
        text,
        severity=severity,
        place="loss",
        layer=facts.output_layer,
        evidence={"outputs": float(classes(facts)), **evidence},
        remedy=remedy,
        source=sources.BISHOP,
    )


def _one_softmax(facts: Facts, result: Result) -> Diagnosis | None:
    if classes(facts) != 1:
        return None
    if facts.output_activation == "softmax":
        text = "The output is a softmax over a single unit, which is 1 for every input: no gradient passes through it."
        remedy = (
            "For two classes use one unit with a sigmoid and `binary_crossentropy`; for K classes, K softmax units."
        )
        if facts.loss in REGRESSION:
            remedy = (
                "For a number use one unit without activation; for two classes, a sigmoid with binary_crossentropy."
            )
        return _diagnosis(facts, text, remedy)
    if facts.loss in (*CATEGORICAL, *SPARSE):
        text = f"The loss {facts.loss} compares classes, but the model has a single output unit."
        remedy = "Use one output unit for every class, or one sigmoid unit with `binary_crossentropy` for two classes."
        return _diagnosis(facts, text, remedy)
    return None


def _logits(facts: Facts, result: Result) -> Diagnosis | None:
    """Outputs that are no probabilities, in a loss that takes them as such."""
    if facts.from_logits != "no" or facts.loss not in (*CATEGORICAL, *SPARSE, *BINARY) or not facts.output_activation:
        return None
    if facts.output_activation in PROBABILITIES or facts.output_activation not in KNOWN:
        return None
    text = (
        f"The loss {facts.loss} expects probabilities, but the output has the activation {facts.output_activation}: "
        "values outside of 0 to 1 are clipped, and give no gradient."
    )
    form = "sigmoid" if facts.loss in BINARY else "softmax"
    remedy = f"Give the output the activation {form}, or no activation and the loss `from_logits=True`."
    return _diagnosis(facts, text, remedy)


def _labels(facts: Facts, result: Result) -> Diagnosis | None:
    """Class labels that no unit stands for."""
    count = classes(facts)
    if facts.loss not in SPARSE or count < 2 or math.isnan(facts.target_high):
        return None
    if facts.target_low >= 0 and facts.target_high < count:
        return None
    text = (
        f"The class labels run from {facts.target_low:.0f} to {facts.target_high:.0f}, but the {count} output units "
        f"stand for the labels 0 to {count - 1}."
    )
    remedy = f"Number the classes from 0, and give the output one unit a class (at least {facts.target_high:.0f} + 1)."
    return _diagnosis(facts, text, remedy, target_low=facts.target_low, target_high=facts.target_high)


def _binary_labels(facts: Facts, result: Result) -> Diagnosis | None:
    """Targets of a binary loss outside of 0 to 1."""
    if facts.loss not in BINARY or math.isnan(facts.target_high):
        return None
    if facts.target_low >= 0 and facts.target_high <= 1:
        return None
    text = (
        f"The loss {facts.loss} expects targets from 0 to 1, but they run from {format_number(facts.target_low)} to "
        f"{format_number(facts.target_high)}: it has no lower bound."
    )
    remedy = (
        "Recode two classes as 0 and 1; for more classes use one softmax unit a class; for numbers, a squared error."
    )
    return _diagnosis(facts, text, remedy, target_low=facts.target_low, target_high=facts.target_high)


def _several_binary(facts: Facts, result: Result) -> Diagnosis | None:
    """A binary loss on units that compete for one class."""
    if facts.loss not in BINARY or classes(facts) < 2:
        return None
    if facts.output_activation != "softmax" and not (facts.target_one_hot == "yes" and classes(facts) > 2):
        return None
    text = (
        f"The loss {facts.loss} judges {classes(facts)} output units one by one, but an example has exactly one class: "
        "its accuracy counts the easy zeros, and is too high."
    )
    remedy = "Use softmax with `categorical_crossentropy` (or the sparse one); for several labels an example, sigmoid."
    return _diagnosis(facts, text, remedy, "warning")


def _several_labels(facts: Facts, result: Result) -> Diagnosis | None:
    """A softmax on examples with several labels, or with none."""
    flags = facts.target_integer == "yes" and facts.target_low == 0 and facts.target_high == 1
    if facts.output_activation != "softmax" or not flags or facts.target_one_hot != "no" or classes(facts) < 2:
        return None
    if len(facts.target_shape) != len(facts.output_shape) or facts.target_shape[-1] != classes(facts):
        return None
    text = (
        f"Examples of the first batch have several labels, or none, but a softmax over {classes(facts)} units gives "
        "probabilities that add up to 1."
    )
    return _diagnosis(facts, text, "Give the output sigmoids, with the loss `binary_crossentropy`.", "warning")


def _exclusive(facts: Facts, result: Result) -> Diagnosis | None:
    """A sigmoid for every one of several exclusive classes."""
    if facts.loss not in (*CATEGORICAL, *SPARSE) or facts.output_activation not in ("sigmoid", "hard_sigmoid"):
        return None
    text = (
        f"The {classes(facts)} outputs have sigmoids, which do not add up to 1, but {facts.loss} takes them as the "
        "probabilities of exclusive classes."
    )
    return _diagnosis(facts, text, "Give the output the activation softmax.", "warning")


def _squared(facts: Facts, result: Result) -> Diagnosis | None:
    """An error of numbers on class labels."""
    if facts.loss not in REGRESSION or facts.target_integer != "yes":
        return None
    binary = classes(facts) == 1 and facts.target_low == 0 and 0 < facts.target_distinct <= 2
    labels = facts.target_one_hot == "yes" or binary
    if facts.output_activation not in ("softmax", "sigmoid") or not labels or facts.target_high > 1:
        return None
    text = (
        f"The targets are class labels, but the loss is {facts.loss}: where a {facts.output_activation} is wrong and "
        "sure, its gradient almost vanishes."
    )
    form = "binary_crossentropy" if facts.output_activation == "sigmoid" else "categorical_crossentropy"
    return _diagnosis(facts, text, f"Use `{form}`.", "warning")


def _labels_as_numbers(facts: Facts, result: Result) -> Diagnosis | None:
    """Class labels as the targets of one number, which the author judges by an accuracy."""
    if facts.loss not in REGRESSION or classes(facts) != 1 or facts.target_integer != "yes":
        return None
    judged_by = [name for name in result.history_names if name.endswith(("accuracy", "acc"))]
    if not judged_by or not BINARY_LABELS < facts.target_distinct <= MANY_LABELS:
        return None
    text = (
        f"The loss {facts.loss} takes the labels {facts.target_low:.0f} to {facts.target_high:.0f} as amounts, but "
        f"they are judged by {judged_by[0]}, as classes: it asks whether one number is above 0.5."
    )
    return _diagnosis(facts, text, "Use one softmax unit a class and `sparse_categorical_crossentropy`.", "warning")


def _twice(facts: Facts, result: Result) -> Diagnosis | None:
    """Probabilities in a loss that applies softmax or sigmoid itself."""
    if facts.from_logits != "yes" or facts.output_activation not in PROBABILITIES:
        return None
    lowest = _floor(facts)
    losses = np.concatenate([result.loss, result.probe_loss])
    losses = losses[np.isfinite(losses)]
    undone = bool(losses.size) and bool(losses.min() < UNDONE * lowest)
    text = f"The output has the activation {facts.output_activation}, but the loss {facts.loss} has from_logits=True"
    remedy = "Remove the activation of the output, or `from_logits=True`."
    if undone:
        text += f"; losses below {format_number(lowest)} show that Keras took the values before the "
        text += "activation, which it does inside of a model only."
        return _diagnosis(facts, text, remedy, "warning", lowest_possible=lowest, lowest=float(losses.min()))
    text += f": it is applied twice, so the loss cannot fall below {format_number(lowest)}."
    return _diagnosis(facts, text, remedy, "warning", lowest_possible=lowest)


def _floor(facts: Facts) -> float:
    """Return the lowest loss on outputs from 0 to 1 that are taken as logits."""
    if facts.loss in BINARY:
        ones = facts.probe_label_shares[1] if len(facts.probe_label_shares) == 2 else 1.0
        return ones * math.log1p(math.exp(-1)) + (1 - ones) * math.log(2)
    return math.log1p((max(classes(facts), 2) - 1) * math.exp(-1))


CHECKS = (
    *(_one_softmax, _logits, _labels, _binary_labels, _several_labels),
    *(_several_binary, _exclusive, _squared, _labels_as_numbers, _twice),
)
"""In the order of what they ruin."""
