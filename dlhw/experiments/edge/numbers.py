"""What follows from the curves of a run: when the edge was reached, where the sharpness hovers, which steps rose."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dlhw.experiments.edge.spec import Array, Result, Settings

LATE = 0.25
"""Share of the steps, at the end, that count as late."""
NEAR = (0.9, 1.2)
"""Sharpness over the line, as median over late measurements, that counts as hovering at the edge: it saws about it."""


@dataclass(frozen=True)
class Numbers:
    """Numbers of R rates and S seeds. All are nan, or -1, for a training that diverged."""

    start: Array  # (R, S) sharpness before the first step
    reached_at: NDArray[np.integer]  # (R, S) first measured step with a sharpness on the line or above, or -1
    late_ratio: Array  # (R, S) sharpness over the line, median of the late measurements
    late_sharpness: Array  # (R, S) the same without the line
    raised: Array  # (R, S) share of the steps, from where the edge was reached, that raised the loss; nan if never
    raised_before: Array  # (R, S) the same of the steps before, of all if it was never reached
    overlap: Array  # (R, S, 2) share of |g|^2 along leading eigenvectors, mean of the late measurements
    loss: Array  # (R, S) median of the late steps


def numbers_of(settings: Settings, result: Result) -> Numbers:
    """Return the numbers of every training."""
    whole = result.diverged_at < 0
    ratio = result.eigenvalues[..., 0] / settings.lines[:, None, None]
    late = result.steps >= (1 - LATE) * settings.epochs
    late_steps = max(1, round(LATE * settings.epochs))
    with np.errstate(invalid="ignore"):
        above = (ratio >= 1) & whole[..., None]
    reached = np.asarray(above.any(axis=2))
    reached_at = np.where(reached, result.steps[above.argmax(axis=2)], -1)
    before, after = np.full(whole.shape, np.nan), np.full(whole.shape, np.nan)
    for at in np.ndindex(*whole.shape):
        if not whole[at]:
            continue
        up = np.diff(result.loss[at].astype(np.float64)) > 0
        border = int(reached_at[at]) if reached[at] else len(up)
        before[at] = up[:border].mean() if border else np.nan
        after[at] = up[border:].mean() if border < len(up) else np.nan

    def of_whole(values: Array) -> Array:
        return np.where(whole.reshape(whole.shape + (1,) * (values.ndim - 2)), values, np.nan)

    return Numbers(
        start=of_whole(result.eigenvalues[:, :, 0, 0]),
        reached_at=reached_at,
        late_ratio=of_whole(np.median(ratio[..., late], axis=2)),
        late_sharpness=of_whole(np.median(result.eigenvalues[..., late, 0], axis=2)),
        raised=after,
        raised_before=before,
        overlap=of_whole(np.mean(result.overlap[:, :, late], axis=2)),
        loss=of_whole(np.median(result.loss[..., -late_steps:], axis=2)),
    )


def hovers(settings: Settings, numbers: Numbers) -> NDArray[np.bool_]:
    """Return in which trainings the sharpness hovers at the edge, (R, S): reached before the late steps, then near."""
    low, high = NEAR
    with np.errstate(invalid="ignore"):
        near = (numbers.late_ratio >= low) & (numbers.late_ratio <= high)
    return near & (numbers.reached_at >= 0) & (numbers.reached_at <= (1 - LATE) * settings.epochs)
