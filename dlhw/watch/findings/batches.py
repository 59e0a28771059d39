"""The batch size against the gradient noise scale."""

from __future__ import annotations

import numpy as np

from dlhw.present.numbers import format_number
from dlhw.watch.diagnosis import Diagnosis
from dlhw.watch.findings import sources
from dlhw.watch.findings.progress import progress
from dlhw.watch.findings.recorded import one_median
from dlhw.watch.spec import Result, Settings

NOISY = 1000.0
"""Noise scale over batch size: a thousand steps average the noise out. Below it, small batches save examples."""
TINY = 2
"""Batches of one or two examples."""


def noise_scale(settings: Settings, result: Result) -> list[Diagnosis]:
    """Batches whose gradients are nearly all noise."""
    noise, batch = one_median(result.noise_scale), one_median(result.examples)
    if not (noise > 0 and batch > 0) or noise < NOISY * batch:
        return []
    state = progress(result)
    harms = state.little and state.steps > 0 and batch <= TINY
    text = (
        f"Batches of {format_number(batch)} examples are small for a gradient noise scale of {format_number(noise)}: "
        f"the squared norm of the noise is {format_number(noise / batch)} times that of the mean gradient."
    )
    return [
        Diagnosis(
            "noise-scale",
            text,
            severity="warning" if harms else "note",
            place="batch",
            evidence={"noise_scale": noise, "batch": batch, "ratio": float(np.divide(noise, batch))},
            remedy="A larger batch takes longer steps in the same direction; otherwise lower the rate towards the end.",
            source=sources.MCCANDLISH,
        )
    ]
