"""Units that pass no gradient on: dead ones, and those that saturate."""

from __future__ import annotations

import numpy as np

from dlhw.watch.diagnosis import Diagnosis, Severity
from dlhw.watch.findings import sources
from dlhw.watch.findings.progress import progress
from dlhw.watch.findings.recorded import hidden
from dlhw.watch.spec import Array, Result, Settings

ALL_DEAD = 0.99
"""A layer of which so many units are dead passes on next to nothing."""
MANY_DEAD = 0.5
"""Half of the units: with symmetric weights and inputs, chance leaves a relu dead on no more than a few examples."""
SATURATED = 0.5
"""Half of the outputs in the flat parts, where a sigmoid passes on a hundredth of the gradient."""


def dead_units(settings: Settings, result: Result) -> list[Diagnosis]:
    """Units of relu and its like that are 0 on all examples of the probe."""
    index, share, probe = _worst(result, result.dead_share)
    if index < 0 or share < MANY_DEAD:
        return []
    state = progress(result)
    severity: Severity = "note"
    if share >= ALL_DEAD:
        severity = "severe" if state.little else "warning"
    elif state.partly:
        severity = "warning"
    layer, count = result.unit_layers[index], int(result.unit_counts[index])
    began = float(result.dead_share[0, index])
    text = (
        f"{round(share * count)} of {count} units of layer {layer} are dead after epoch "
        f"{int(result.probe_epoch[probe])}: 0 on every example of the probe, so they get no gradient."
    )
    remedy = "Lower the learning rate and scale the inputs; leaky_relu, elu or gelu cannot die."
    place = "optimizer"
    if began >= MANY_DEAD:
        place = ""
        remedy = "They are dead from the start: check initializers, biases and the scale of the inputs."
    return [
        _finding("dead-units", text, severity, result, index, probe, {"dead": share, "at_start": began}, remedy, place)
    ]


def saturated_units(settings: Settings, result: Result) -> list[Diagnosis]:
    """Outputs of sigmoid, tanh and their like in the flat parts of the function."""
    # a classifier that is sure of its outputs saturates them
    index, share, probe = _worst(result, np.where(hidden(result), result.saturated_share, np.nan))
    if index < 0 or share < SATURATED:
        return []
    began = float(result.saturated_share[0, index])
    severity: Severity = "warning" if progress(result).little else "note"
    layer = result.unit_layers[index]
    text = (
        f"{100 * share:.0f} % of the outputs of layer {layer} are saturated after epoch "
        f"{int(result.probe_epoch[probe])}, where the activation passes almost no gradient on."
    )
    remedy = "Scale the inputs and use Glorot initialization." if began >= SATURATED else "Lower the learning rate."
    evidence = {"saturated": share, "at_start": began}
    return [_finding("saturated-units", text, severity, result, index, probe, evidence, f"{remedy} Or use relu.", "")]


def _worst(result: Result, shares: Array) -> tuple[int, float, int]:
    """Return layer, share and probe of the first layer at the end with the highest share; -1 for none."""
    known = np.isfinite(shares).any(axis=1) if shares.size else np.zeros(0, bool)
    if not known.any():
        return -1, float("nan"), -1
    probe = int(np.flatnonzero(known)[-1])
    index = int(np.nanargmax(shares[probe]))
    return index, float(shares[probe, index]), probe


def _finding(
    code: str,
    text: str,
    severity: Severity,
    result: Result,
    index: int,
    probe: int,
    evidence: dict[str, float],
    remedy: str,
    place: str,
) -> Diagnosis:
    return Diagnosis(
        code,
        text,
        severity=severity,
        layer=result.unit_layers[index],
        place=place,
        step=int(result.probe_step[probe]),
        evidence=evidence,
        remedy=remedy,
        source=sources.LU if code == "dead-units" else sources.GLOROT,
    )
