"""What is wrong before the first step: weights that are all equal, and dropout that drops nearly everything."""

from __future__ import annotations

import itertools

import numpy as np

from dlhw.watch.diagnosis import Diagnosis, Severity
from dlhw.watch.findings import sources
from dlhw.watch.findings.progress import progress
from dlhw.watch.findings.recorded import bare, classes, listed, weighted
from dlhw.watch.spec import Result, Settings

EXTREME = 0.8
"""Share of inputs that Dropout drops; up to 0.5 is usual, and more than 0.8 leaves less than a fifth of a layer."""


def constant_weights(settings: Settings, result: Result) -> list[Diagnosis]:
    """Kernels of one value at the start.

    The units of a layer stay copies of one another if the kernel behind them is constant as well. If it is random,
    their gradients differ, so a single such layer is harmful only at relu's corner, and the last one not at all.
    """
    names = [bare(name) for name, use in zip(result.layers, weighted(result), strict=True) if use]
    constant = {bare(name) for name in result.facts.constant_layers}
    single = [name for name in names[:-1] if name in constant]
    copies = [name for name, behind in itertools.pairwise(names) if {name, behind} <= constant]
    if not single:
        return []
    severity: Severity = "severe" if copies else "warning" if progress(result).partly else "note"
    shown = copies or single
    many = len(shown) > 1
    consequence = "their units stay copies of one another" if copies else "their units start as copies of one another"
    text = f"All weights of {'layers' if many else 'layer'} {listed(shown)} start at the same value: {consequence}."
    return [
        Diagnosis(
            "constant-weights",
            text,
            severity=severity,
            layer=shown[0],
            evidence={"layers": float(len(single)), "of": float(np.size(result.layers))},
            remedy="Initialize kernels at random (`glorot_uniform`, `he_normal`); only biases start at 0.",
            source=sources.GOODFELLOW,
        )
    ]


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
            place="dropout",
            evidence={"rate": highest, "outputs": float(classes(result.facts))},
            remedy="Use a rate of 0.1 to 0.5: the rate is the share that is dropped, not the share that stays.",
            source=sources.SRIVASTAVA,
        )
    ]
