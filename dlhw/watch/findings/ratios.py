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
"""A hundred times that: ten steps replace the weights. Adam at its default rate starts at 0.02 in a layer of 500."""
LOW = 1e-5
"""A hundredth of it: a hundred thousand steps in one direction change the weights by their own size."""
SETTLED = 0.1
"""The first tenth of the steps is not counted: warm-up, and biases that leave 0."""


def update_ratio_high(settings: Settings, result: Result) -> list[Diagnosis]:
    """A layer whose weights are replaced within a few steps."""
    ratios = _by_layer(result)
    if not np.isfinite(ratios).any() or np.nanmax(ratios) <= HIGH:
        return []
    index = int(np.nanargmax(ratios))
    state = progress(result)
    severity: Severity = "severe" if state.nothing or not state.finite else "warning" if state.little else "note"
    layer = result.layers[index]
    text = (
        f"An update changes the weights of layer {layer} by {format_number(100 * float(ratios[index]))} % of their "
        f"norm (median over the steps), where {100 * USUAL:.1g} % is usual."
    )
    return [_finding("update-ratio-high", text, severity, layer, ratios, result, "Lower the learning rate tenfold.")]


def update_ratio_low(settings: Settings, result: Result) -> list[Diagnosis]:
    """Updates that are too short in all layers, in a training that learned little."""
    ratios = _by_layer(result)
    if not np.isfinite(ratios).any() or np.nanmax(ratios) >= LOW:
        return []
    state = progress(result)
    index = int(np.nanargmax(ratios))
    text = (
        f"An update changes the weights by no more than {format_number(100 * float(ratios[index]))} % of their norm in "
        f"any layer (median over the steps), where {100 * USUAL:.1g} % is usual."
    )
    severity: Severity = "warning" if state.little else "note"
    return [_finding("update-ratio-low", text, severity, "", ratios, result, "Raise the learning rate tenfold.")]


def _by_layer(result: Result) -> Array:
    """Return the median ratio of every layer; nan for those that only normalize, and where weights are all zero."""
    begin = int(SETTLED * len(result.step))
    return np.where(weighted(result), median(update_ratios(result)[begin:]), np.nan)


def _finding(
    code: str, text: str, severity: Severity, layer: str, ratios: Array, result: Result, remedy: str
) -> Diagnosis:
    evidence = {f"ratio {name}": float(r) for name, r in zip(result.layers, ratios, strict=True) if np.isfinite(r)}
    return Diagnosis(
        code, text, severity=severity, layer=layer, evidence=evidence, remedy=remedy, source=sources.CS231N
    )
