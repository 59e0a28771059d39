"""Inputs and targets whose scale makes training hard, and a probe that was scaled in another way."""

from __future__ import annotations

import math

from dlhw.present.numbers import format_number
from dlhw.watch.diagnosis import Diagnosis
from dlhw.watch.findings import sources
from dlhw.watch.findings.progress import progress
from dlhw.watch.findings.recorded import REGRESSION
from dlhw.watch.spec import Facts, Result, Settings

LARGE_INPUT = 10.0
"""Root mean square of inputs; standardized ones have 1, and initializers assume that (Glorot, He)."""
SMALL_INPUT = 0.002
"""Such as pixels that were divided by 255 twice: 0.3 / 255 = 0.001. Sparse inputs, such as word counts, lie above."""
LARGE_TARGET = 100.0
"""Largest target, at which gradients of a squared error are a hundred times those of unit targets."""
OTHER_SCALE = 5.0
"""Ratio of standard deviations of training and probe inputs; two batches of the same data differ by far less."""
OTHER_CENTRE = 3.0
"""Distance of the means of training and probe inputs, in standard deviations."""
SCALING = (
    *("Rescaling", "Normalization", "BatchNormalization", "LayerNormalization", "Embedding", "TextVectorization"),
    *("Discretization", "Hashing", "CategoryEncoding", "StringLookup", "IntegerLookup", "UnitNormalization"),
)
"""Layers behind which the scale of the inputs no longer matters."""


def inputs_unscaled(settings: Settings, result: Result) -> list[Diagnosis]:
    """Inputs far from mean 0 and standard deviation 1 that no layer scales."""
    facts = result.facts
    size = math.hypot(facts.input_mean, facts.input_std)
    if math.isnan(size) or any(kind in SCALING for kind in facts.first_layers):
        return []
    if facts.input_std == 0 and facts.input_nonfinite == 0:
        return [_constant(facts)]
    if SMALL_INPUT <= size <= LARGE_INPUT:
        return []
    large = size > LARGE_INPUT
    text = (
        f"The inputs run from {format_number(facts.input_low)} to {format_number(facts.input_high)}, with mean "
        f"{format_number(facts.input_mean)} and standard deviation {format_number(facts.input_std)}: "
    )
    text += "far larger" if large else "far smaller"
    text += " than the order of 1 that initializers and learning rates assume."
    return [
        Diagnosis(
            "inputs-unscaled",
            text,
            severity="warning",
            place="data",
            evidence=_evidence(facts, "input"),
            remedy="Standardize every feature by the training set (a Normalization layer), or divide pixels by 255.",
            source=sources.LECUN,
        )
    ]


def _constant(facts: Facts) -> Diagnosis:
    return Diagnosis(
        "inputs-unscaled",
        f"All inputs of the first batch have the value {format_number(facts.input_mean)}: they say nothing.",
        severity="severe",
        place="data",
        evidence=_evidence(facts, "input"),
        remedy="Look at the inputs as they enter `fit`: a division of whole numbers, or a file that was not read.",
        source=sources.SANITY,
    )


def targets_unscaled(settings: Settings, result: Result) -> list[Diagnosis]:
    """Targets of a regression that are very large, in a training that does not cope with them."""
    facts = result.facts
    largest = max(abs(facts.target_low), abs(facts.target_high))
    if facts.loss not in REGRESSION or not largest > LARGE_TARGET:
        return []
    state = progress(result)
    text = (
        f"The targets run from {format_number(facts.target_low)} to {format_number(facts.target_high)}: the output, "
        "which starts near 0, has to grow to that size, and gradients grow with it."
    )
    return [
        Diagnosis(
            "targets-unscaled",
            text,
            severity="warning" if state.little or math.isnan(state.learned) else "note",
            place="data",
            layer=facts.output_layer,
            evidence={"target_low": facts.target_low, "target_high": facts.target_high},
            remedy="Standardize the targets by the training set, and scale predictions back.",
            source=sources.LECUN,
        )
    ]


def probe_differs(settings: Settings, result: Result) -> list[Diagnosis]:
    """Inputs of the probe on another scale than those of the training."""
    facts = result.facts
    a, b = facts.input_std, facts.probe_std
    if math.isnan(a) or math.isnan(b) or max(a, b) == 0:
        return []
    scale = max(a, b) / min(a, b) if min(a, b) > 0 else math.inf
    shift = abs(facts.input_mean - facts.probe_mean) / max(a, b)
    if scale <= OTHER_SCALE and shift <= OTHER_CENTRE:
        return []
    text = (
        f"The inputs of the probe have mean {format_number(facts.probe_mean)} and standard deviation "
        f"{format_number(facts.probe_std)}, those of the training {format_number(facts.input_mean)} and "
        f"{format_number(facts.input_std)}: they were not prepared in the same way."
    )
    return [
        Diagnosis(
            "probe-differs",
            text,
            severity="warning",
            place="data",
            evidence={**_evidence(facts, "input"), **_evidence(facts, "probe")},
            remedy="Apply the preparation of the training inputs, with its constants, to all other inputs.",
            source=sources.SANITY,
        )
    ]


def _evidence(facts: Facts, what: str) -> dict[str, float]:
    return {f"{what}_{name}": float(getattr(facts, f"{what}_{name}")) for name in ("low", "high", "mean", "std")}
