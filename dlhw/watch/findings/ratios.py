"""Length of the updates against that of the weights: steps that are far too long or too short."""

from __future__ import annotations

import numpy as np

from dlhw.present.numbers import format_number
from dlhw.watch.diagnosis import Diagnosis, Severity
from dlhw.watch.findings import sources
from dlhw.watch.findings.progress import progress
from dlhw.watch.findings.recorded import median, update_ratios, weighted
from dlhw.watch.spec import Array, Result, Settings

USUAL = 1e-3
"""Karpathy's rule of thumb for update norm over weight norm."""
HIGH = 0.1
"""A hundred times that, as the median of a training: ten steps replace the weights."""
AT_ONCE = 0.2
"""The same in the first steps, after which too high a rate may have blown up the weights or killed the units, so that
the ratio is small. Adam at its default rate starts at 0.02 in a layer of 500 units, at ten times that rate at 0.2."""
LOW = 1e-5
"""A hundredth of it: a hundred thousand steps in one direction change the weights by their own size."""
SLOW = 2e-4
"""A fifth of it, in a training whose loss still falls evenly when it ends."""
FIRST = 5
"""The first steps."""
SETTLED = 0.1
"""The first tenth of the steps is not counted in a median: warm-up, and biases that leave 0."""


def update_ratio_high(settings: Settings, result: Result) -> list[Diagnosis]:
    """A layer whose weights are replaced within a few steps."""
    later, first = typical_ratios(result), _first_ratios(result)
    over = np.fmax(later / HIGH, first / AT_ONCE)
    if not np.isfinite(over).any() or np.nanmax(over) <= 1:
        return []
    index = int(np.nanargmax(over))
    persistent = later[index] > HIGH
    ratio = float(later[index] if persistent else first[index])
    state = progress(result)
    severity: Severity = "severe" if state.nothing or not state.finite else "warning" if state.partly else "note"
    layer = result.layers[index]
    when = "(median over the steps)" if persistent else f"in the first {FIRST} steps"
    text = (
        f"An update changes the weights of layer {layer} by {format_number(100 * ratio)} % of their norm {when}, where "
        f"{100 * USUAL:.1g} % is usual."
    )
    ratios = later if persistent else first
    return [_finding("update-ratio-high", text, severity, layer, ratios, result, "Lower the learning rate tenfold.")]


def update_ratio_low(settings: Settings, result: Result) -> list[Diagnosis]:
    """Updates that are too short in all layers, in a training that learned little."""
    ratios = typical_ratios(result)
    if not np.isfinite(ratios).any():
        return []
    highest, state = float(np.nanmax(ratios)), progress(result)
    slow = highest < SLOW and state.little and state.falling
    if highest >= LOW and not slow:
        return []
    text = (
        f"An update changes the weights by no more than {format_number(100 * highest)} % of their norm in any layer "
        f"(median over the steps), where {100 * USUAL:.1g} % is usual{', and the loss falls slowly' if slow else ''}."
    )
    severity: Severity = "warning" if state.little else "note"
    return [_finding("update-ratio-low", text, severity, "", ratios, result, "Raise the learning rate tenfold.")]


def typical_ratios(result: Result) -> Array:
    """Return the median ratio of every layer; nan for those that only normalize, and where weights are all zero."""
    begin = int(SETTLED * len(result.step))
    return np.where(weighted(result), median(update_ratios(result)[begin:]), np.nan)


def _first_ratios(result: Result) -> Array:
    """Return the median ratio of every layer in the first steps that updated it."""
    ratios = update_ratios(result)
    ratios = ratios[np.isfinite(ratios).any(axis=1)]
    kinds = result.facts.layer_kinds if len(result.facts.layer_kinds) == len(result.layers) else ()
    looked_up = np.array([kind == "Embedding" for kind in kinds] or [False])  # weights are small, updates of few rows
    constant = np.array([name in result.facts.constant_layers for name in result.layers], bool)  # such as zeros
    return np.where(weighted(result) & ~looked_up & ~constant, median(ratios[:FIRST]), np.nan)


def _finding(
    code: str, text: str, severity: Severity, layer: str, ratios: Array, result: Result, remedy: str
) -> Diagnosis:
    evidence = {f"ratio {name}": float(r) for name, r in zip(result.layers, ratios, strict=True) if np.isfinite(r)}
    return Diagnosis(
        code,
        text,
        severity=severity,
        layer=layer,
        place="optimizer",
        evidence=evidence,
        remedy=remedy,
        source=sources.CS231N,
    )
