"""Targets that an output cannot reach, and targets of a shape that is broadcast against the outputs."""

from __future__ import annotations

import math

from dlhw.present.numbers import format_number
from dlhw.watch.diagnosis import Diagnosis, Severity
from dlhw.watch.findings import sources
from dlhw.watch.findings.progress import progress
from dlhw.watch.findings.recorded import CLASSIFICATION, REGRESSION
from dlhw.watch.spec import Facts, Result, Settings

RANGES = {
    "relu": (0.0, math.inf),
    "softplus": (0.0, math.inf),
    "exponential": (0.0, math.inf),
    "relu6": (0.0, 6.0),
    "sigmoid": (0.0, 1.0),
    "hard_sigmoid": (0.0, 1.0),
    "softmax": (0.0, 1.0),
    "tanh": (-1.0, 1.0),
    "softsign": (-1.0, 1.0),
    "selu": (-1.7581, math.inf),
    "elu": (-1.0, math.inf),
}
"""Values that an activation takes."""
MARGIN = 0.02
"""Share of the range of the targets that may lie outside: the open ends of sigmoid and tanh, and rounding."""
FAR = 3.0
"""Targets so many times as large as the largest output: most of them cannot be reached."""

LEARNS = 0.5
"""Share of the loss that a broadcast loss cannot remove: its best output is the mean of the targets."""


def targets_out_of_reach(settings: Settings, result: Result) -> list[Diagnosis]:
    """Targets of a regression outside of the values that the activation of the output takes."""
    facts = result.facts
    if facts.loss not in REGRESSION or facts.output_activation not in RANGES or math.isnan(facts.target_high):
        return []
    low, high = RANGES[facts.output_activation]
    width = facts.target_high - facts.target_low
    below, above = low - facts.target_low, facts.target_high - high
    if max(below, above) <= MARGIN * width:
        return []
    never = facts.target_low > high or facts.target_high < low or facts.target_high > FAR * high
    severity: Severity = "severe" if never else "warning"
    shown = f"{low:.3g} to {high:.3g}" if math.isfinite(high) else f"{low:.3g} upwards"
    text = (
        f"The output has the activation {facts.output_activation}, whose values run from {shown}, but the targets run "
        f"from {format_number(facts.target_low)} to {format_number(facts.target_high)}: part of them cannot be reached."
    )
    return [
        Diagnosis(
            "output-and-loss",
            text,
            severity=severity,
            place="loss",
            layer=facts.output_layer,
            evidence={
                "target_low": facts.target_low,
                "target_high": facts.target_high,
                "output_low": low,
                "output_high": high,
            },
            remedy="Give the output of a regression no activation, or scale the targets into its range.",
            source=sources.BISHOP,
        )
    ]


def broadcast_targets(settings: Settings, result: Result) -> list[Diagnosis]:
    """Targets whose shape differs from that of the outputs, so that every output is compared with several targets."""
    facts = result.facts
    if not facts.output_shape or not facts.target_shape or facts.loss in CLASSIFICATION:
        return []
    outputs, targets = _as_compared(facts)
    if outputs == targets or not _can_broadcast(outputs, targets):
        return []
    text = (
        f"The targets have the shape {_shown(facts.target_shape)} and the outputs {_shown(facts.output_shape)}: they "
        "are broadcast, so every output is compared with targets of other examples or positions."
    )
    severity: Severity = "severe"
    if facts.loss not in REGRESSION:  # a loss of the user's may reshape its targets
        severity = "note" if progress(result).learned > LEARNS else "warning"
    if len(facts.output_shape) > len(facts.target_shape) and facts.output_shape[1:-1]:
        remedy = "Return only the last position of a sequence (`return_sequences=False`), or give targets for all."
    else:
        remedy = "Reshape the targets to the shape of the outputs, such as `y.reshape(-1, 1)`."
    return [
        Diagnosis(
            "broadcast-targets",
            text,
            severity=severity,
            place="loss",
            layer=facts.output_layer,
            evidence={"output_axes": float(len(facts.output_shape)), "target_axes": float(len(facts.target_shape))},
            remedy=remedy,
            source=sources.KERAS,
        )
    ]


def _as_compared(facts: Facts) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Return both shapes as a loss subtracts them: those of Keras first drop or add a last axis of one."""
    outputs, targets = facts.output_shape, facts.target_shape
    if facts.loss not in REGRESSION:
        return outputs, targets
    if len(outputs) == len(targets) + 1 and outputs[-1] == 1:
        outputs = outputs[:-1]
    elif len(targets) == len(outputs) + 1 and targets[-1] == 1:
        targets = targets[:-1]
    return outputs, targets


def _can_broadcast(a: tuple[int, ...], b: tuple[int, ...]) -> bool:
    """Whether NumPy would broadcast them, where -1 is the size of the batch."""
    length = max(len(a), len(b))
    first, second = ((1,) * (length - len(x)) + x for x in (a, b))
    different = [(m, n) for m, n in zip(first, second, strict=True) if m != n]
    return all(1 in pair for pair in different)


def _shown(shape: tuple[int, ...]) -> str:
    sizes = ["n" if size < 0 else str(size) for size in shape]
    return f"({', '.join(sizes)}{',' if len(sizes) == 1 else ''})"
