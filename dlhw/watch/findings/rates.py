"""The learning rate against the edge of stability: 2 / eta, beyond which steps along the sharpest direction overshoot.

Gradient descent hovers just above the edge while its loss falls over longer times; that is no fault. Nor is a loss that
rises first and falls then, because the steps find a flatter place.
"""

from __future__ import annotations

import numpy as np

from dlhw.present.numbers import format_number
from dlhw.watch.diagnosis import Diagnosis
from dlhw.watch.findings import sources
from dlhw.watch.findings.progress import progress
from dlhw.watch.findings.recorded import ratio
from dlhw.watch.spec import Result, Settings

ABOVE = 1.5
"""Sharpness over the edge; at the edge of stability it hovers between 1 and 1.2."""
BELOW = 0.01
"""Rates a hundred times as high would be stable."""
ROSE = 1.02
"""A loss so many times that of the beginning, at the end, has risen."""


def rate_above_edge(settings: Settings, result: Result) -> list[Diagnosis]:
    """A sharpness above the edge, and a loss that rose and stayed up, or never fell below chance."""
    state = progress(result)
    over = ratio(result.sharpness, result.edge)
    known = np.flatnonzero(np.isfinite(over))
    if not known.size:
        return []
    above = known[over[known] > ABOVE]
    up = not state.finite or state.nothing or state.end > ROSE * state.start
    # one probe suffices at the start: a training that went over the edge may end in a flat place, or without numbers
    if not above.size or not up or (len(above) < 2 and above[0] != 0):
        return []
    first = int(above[0])
    went = (
        f"went from {format_number(state.start)} to {format_number(state.end)}" if state.finite else "became infinite"
    )
    text = (
        f"The learning rate is above the edge of stability: at epoch {int(result.probe_epoch[first])} the sharpness is "
        f"{format_number(float(result.sharpness[first]))}, {format_number(float(over[first]))} times 2 / eta, and the "
        f"loss {went}."
    )
    rate = _rate(result)
    lower = f" to at most {format_number(rate / float(over[first]))}" if np.isfinite(rate) else ""
    return [
        Diagnosis(
            "rate-above-edge",
            text,
            severity="severe",
            place="optimizer",
            step=int(result.probe_step[first]),
            evidence={
                "sharpness": float(result.sharpness[first]),
                "edge": float(result.edge[first]),
                "start": state.start,
                "end": state.end,
            },
            remedy=f"Lower the learning rate{lower}.",
            source=sources.COHEN,
        )
    ]


def rate_below_edge(settings: Settings, result: Result) -> list[Diagnosis]:
    """A sharpness far below the edge all the time, in a training that learned little and whose loss still falls."""
    state = progress(result)
    under = ratio(result.sharpness, result.edge)
    under = under[np.isfinite(under)]
    if not under.size or under.max() >= BELOW or under.max() <= 0 or not state.little or state.rose:
        return []
    rate = _rate(result)
    text = (
        f"The learning rate {format_number(rate)} is far below the edge of stability: the sharpness never exceeds "
        f"{format_number(float(under.max()))} times 2 / eta, and the loss fell only from {format_number(state.start)} "
        f"to {format_number(state.end)}."
    )
    return [
        Diagnosis(
            "rate-below-edge",
            text,
            severity="warning",
            place="optimizer",
            evidence={"largest_ratio": float(under.max()), "start": state.start, "end": state.end},
            remedy="Raise the learning rate tenfold, as long as the loss goes on to fall.",
            source=sources.LEWKOWYCZ,
        )
    ]


def _rate(result: Result) -> float:
    known = result.learning_rate[np.isfinite(result.learning_rate)]
    return float(known[0]) if known.size else float("nan")
