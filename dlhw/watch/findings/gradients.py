"""Gradients by layer: those that vanish or explode towards the input, and layers that get none.

Layers are compared by the root mean square of their gradient's entries where their sizes are known, else by its norm.
Layers that only normalize are left out: their gradients are of another kind.
"""

from __future__ import annotations

import numpy as np

from dlhw.present.numbers import format_number
from dlhw.watch.diagnosis import Diagnosis, Severity
from dlhw.watch.findings import sources
from dlhw.watch.findings.progress import Progress, progress
from dlhw.watch.findings.recorded import listed, losses_not_finite, median, one_median, weighted
from dlhw.watch.spec import Array, Flags, Result, Settings

VANISHED = 1e-3
"""Gradient of the first layer against the largest of a later one. A sigmoid passes at most a quarter of it on, so this
is what five of them let through; He and Glorot initialization keep the ratio near 1."""
EXPLODED = 1e3
"""The same in the other direction, and the growth of the whole norm during a training."""
EARLY = 0.2
"""The first fifth of the steps shows what initialization and architecture let through, before layers specialize."""
FEW_LAYERS = 3
"""With fewer layers there is no direction towards the input."""


def gradient_vanishes(settings: Settings, result: Result) -> list[Diagnosis]:
    """A gradient that shrinks towards the input, in a training that learned little."""
    use, sizes = _by_layer(result)
    if len(sizes) < FEW_LAYERS or len(result.optimizers) > 1:
        return []
    largest = int(np.nanargmax(sizes)) if np.isfinite(sizes).any() else 0
    small = [k for k in range(largest) if 0 < sizes[k] < VANISHED * sizes[largest]]
    if not small or small[0] != 0:
        return []
    since, share = use[small[-1]], float(sizes[0] / sizes[largest])
    text = (
        f"The gradient vanishes towards the input: in layer {use[0]} it is {format_number(share)} of that in "
        f"{use[largest]}, and less than a thousandth of it from {since} on."
    )
    return [
        Diagnosis(
            "gradient-vanishes",
            text,
            severity=_severity(progress(result)),
            layer=use[0],
            step=int(result.step[0]),
            evidence={f"gradient {name}": float(size) for name, size in zip(use, sizes, strict=True)},
            remedy="Use relu with He initialization, batch normalization or skip connections, or fewer layers.",
            source=sources.GLOROT,
        )
    ]


def gradient_explodes(settings: Settings, result: Result) -> list[Diagnosis]:
    """A gradient that grows towards the input or over time a thousandfold, in a training that learned little."""
    state = progress(result)
    use, sizes = _by_layer(result)
    if not use or len(result.optimizers) > 1:
        return []
    if len(use) >= FEW_LAYERS and np.isfinite(sizes).all() and sizes[0] > EXPLODED * sizes[-1] > 0:
        growth = sizes[0] / sizes[-1]
        layer = use[int(np.argmax(sizes))]
        text = (
            f"The gradient explodes towards the input: in layer {use[0]} it is {format_number(growth)} times that in "
            f"{use[-1]}."
        )
        return [_explosion(result, text, layer, 0, {"ratio": float(growth)}, _severity(state), "")]
    whole = np.sqrt(np.nansum(np.square(result.gradient_norm, dtype=float), axis=1))
    valid = np.isfinite(whole) & ~losses_not_finite(result)
    if valid.sum() < FEW_LAYERS or not state.rose:
        return []
    first = one_median(whole[valid][: max(1, int(valid.sum()) // 10)])
    peak = int(np.argmax(np.where(valid, whole, -1.0)))
    if not 0 < EXPLODED * first < whole[peak]:
        return []
    layer = result.layers[int(np.nanargmax(result.gradient_norm[peak]))]
    text = (
        f"The gradient explodes: its norm grows from {format_number(first)} to {format_number(float(whole[peak]))} at "
        f"batch {int(result.step[peak]):,}, most in layer {layer}, while the loss rises."
    )
    return [
        _explosion(
            result, text, layer, peak, {"first": first, "largest": float(whole[peak])}, _severity(state), "optimizer"
        )
    ]


def no_gradient(settings: Settings, result: Result) -> list[Diagnosis]:
    """Layers whose gradient is zero in every entry of every recorded step."""
    if not len(result.step):
        return []
    known = np.isfinite(result.zero_share)
    none = np.asarray(known.any(axis=0) & (~known | (result.zero_share >= 1)).all(axis=0), bool)
    names = [name for name, flag in zip(result.layers, none, strict=True) if flag]
    if not names:
        return []
    everything = len(names) == len(result.layers)
    which = "No layer" if everything else f"{'Layers' if len(names) > 1 else 'Layer'} {listed(names)}"
    verb = "gets" if everything or len(names) == 1 else "get"
    text = (
        f"{which} {verb} {'a' if everything else 'no'} gradient: it is zero in all {len(result.step):,} recorded steps."
    )
    return [
        Diagnosis(
            "no-gradient",
            text,
            severity="severe" if everything or progress(result).little else "warning",
            layer=result.layers[-1] if everything else names[-1],
            step=int(result.step[0]),
            evidence={"layers": float(len(names)), "of": float(len(result.layers))},
            remedy="Connect the layer to the loss: look for dead units, argmax, rounding or stop_gradient.",
            source=sources.WARDAT,
        )
    ]


def _by_layer(result: Result) -> tuple[tuple[str, ...], Array]:
    """Return names of the layers that transform their inputs, and the median size of their early gradients."""
    rows = max(1, int(np.ceil(EARLY * len(result.step))))
    sizes = median(result.gradient_norm[:rows])
    weights = result.facts.layer_sizes
    if len(weights) == len(result.layers):
        sizes = sizes / np.sqrt(np.maximum(weights, 1))
    use: Flags = weighted(result)
    return tuple(name for name, flag in zip(result.layers, use, strict=True) if flag), sizes[use]


def _severity(state: Progress) -> Severity:
    """How bad an unfavourable gradient is: a training that learns copes with it."""
    if state.nothing or not state.finite:
        return "severe"
    return "warning" if state.little else "note"


def _explosion(
    result: Result, text: str, layer: str, row: int, evidence: dict[str, float], severity: Severity, where: str
) -> Diagnosis:
    return Diagnosis(
        "gradient-explodes",
        text,
        severity=severity,
        layer=layer,
        place=where,
        step=int(result.step[row]),
        evidence=evidence,
        remedy="Clip the gradient (`clipnorm=1`), lower the learning rate, and use He or Glorot initialization.",
        source=sources.PASCANU,
    )
