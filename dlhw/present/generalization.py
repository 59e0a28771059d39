"""Whether nets with more parameters generalize worse, as far as numbers say."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from dlhw.present.findings import Finding
from dlhw.present.numbers import format_median_range
from dlhw.present.statistics import Interval

Array = NDArray[np.floating]


def parameters_and_gap(
    test_loss: Interval, on_the_gap: Interval | None, gap: Array, *, measured: bool = True
) -> list[Finding]:
    """Answer whether nets with more parameters generalize worse.

    Args:
        test_loss: correlation of parameters and test loss, with its interval.
        on_the_gap: of parameters and gap; None where the gap is not resolved.
        gap: (nets, seeds).
        measured: whether the standard error of the gap is stored.
    """
    spread = format_median_range(gap[np.isfinite(gap)])
    size = f"the gap between test and training loss is {spread} over all nets and seeds"
    if not np.isfinite(gap).any():
        return []
    if gap.shape[1] == 1:
        text = f"With one seed per net nothing can be concluded on whether more parameters generalize worse: {size}."
        return [Finding("parameters-and-gap", text)]
    loss = {1: "higher", -1: "lower"}.get(_direction(test_loss))
    test = (
        f"the test loss is {loss} in nets with more parameters" if loss else "the test loss has no clear trend either"
    )
    if on_the_gap is None:
        text = f"These nets do not show that more parameters generalize worse: {size}, "
        text += "too small to be told from zero with these images" if measured else "with an error that is not stored"
        text += f", and {test.replace(' either', '')}."
    else:
        sign = _direction(on_the_gap)
        verdict = {
            1: "More parameters go with worse generalization",
            -1: "More parameters do not go with worse generalization",
        }
        text = verdict.get(sign, "These nets do not show whether more parameters generalize worse")
        trend = {1: "and grows with their number", -1: "and shrinks with their number"}.get(
            sign, "without a clear trend"
        )
        text += f": {size} {trend}; {test if sign == 0 else test.replace(' either', '')}."
    return [Finding("parameters-and-gap", text)]


def _direction(interval: Interval) -> int:
    """Return the sign of a correlation whose interval leaves zero out, else 0."""
    _, low, high = interval
    return int(low > 0) - int(high < 0) if np.isfinite(low) else 0
