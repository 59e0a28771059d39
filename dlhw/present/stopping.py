"""Curves of trainings that stop at different epochs: where each ends, in numbers, a table and a sentence."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from dlhw.present.findings import Finding
from dlhw.present.numbers import NONE

Array = NDArray[np.floating]
Epochs = NDArray[np.integer]
LATE = 0.05
"""Fraction of the epochs of a training, at its end, over which late medians are taken."""


def last_epochs(stopped_at: Epochs | None, curves: Array) -> Epochs:
    """Return the last epoch of every training, (...,).

    Args:
        stopped_at: epoch at which each stopped, -1 where it did not; None: none did.
        curves: (..., E + 1).
    """
    end = curves.shape[-1] - 1
    return np.full(curves.shape[:-1], end) if stopped_at is None else np.where(stopped_at < 0, end, stopped_at)


def at_end(curves: Array, last: Epochs) -> Array:
    """Return the last value of every curve, (...,): curves (..., E + 1), last (...,)."""
    return np.take_along_axis(curves, last[..., None], axis=-1)[..., 0]


def late_medians(curves: Array, last: Epochs) -> Array:
    """Return the median over the last 5 % of the epochs of every training: curves (..., E + 1), last (...,)."""
    out = np.empty(last.shape)
    for at in np.ndindex(last.shape):
        end, tail = int(last[at]), max(1, round(LATE * int(last[at])))
        out[at] = np.median(curves[at][end - tail + 1 : end + 1].astype(np.float64))
    return out


def held(curves: Array, last: Epochs) -> Array:
    """Return curves that hold their last value after they have stopped: curves (..., E + 1), last (...,)."""
    after = np.arange(curves.shape[-1]) > last[..., None]
    return np.where(after, at_end(curves, last)[..., None], curves)


def drawn(curves: Array, stopped_at: Epochs | None) -> Array:
    """Return the curves of one row as they are drawn: each holds its last value until the last of them stops.

    The median of those that still train would fall whenever a bad one stops.

    Args:
        curves: (S, E + 1).
        stopped_at: (S,) epoch, or -1; None: none stopped.
    """
    if stopped_at is None:
        return curves
    last = last_epochs(stopped_at, curves)
    return np.where(np.arange(curves.shape[-1]) > last.max(), np.nan, held(curves, last))


def column(stopped_at: Epochs) -> str:
    """Return where the trainings of one row stopped as the cell of a table: `14000 (8200 to 16600), 4 of 5`."""
    stopped = stopped_at[stopped_at >= 0]
    if not len(stopped):
        return NONE
    text = f"{np.median(stopped):.0f}" + (f" ({stopped.min()} to {stopped.max()})" if len(stopped) > 1 else "")
    return text + (f", {len(stopped)} of {len(stopped_at)}" if len(stopped) < len(stopped_at) else "")


def finding(names: Sequence[str], stopped_at: Epochs | None, diverged_at: Epochs, most: int) -> list[Finding]:
    """State where the trainings of every row stopped, and how many reached the limit without converging.

    Args:
        names: of the rows.
        stopped_at: (rows, seeds) epoch, or -1; None: trainings did not stop early, and there is no finding.
        diverged_at: (rows, seeds) epoch, or -1.
        most: the limit.
    """
    if stopped_at is None:
        return []
    parts, open_ended = [], 0
    for name, stops, diverged in zip(names, stopped_at, diverged_at, strict=True):
        limit = int(((stops < 0) & (diverged < 0)).sum())
        open_ended += limit
        count = int((stops >= 0).sum())
        texts = [f"{count} of {len(stops)} converged" + (f" at {_range(stops[stops >= 0])}" if count else "")]
        texts += [f"{limit} reached the limit"] if limit else []
        parts.append(f"{name}: {' and '.join(texts)}")
    text = f"Trained until converged, for {most} epochs at most. {'; '.join(parts)}."
    if open_ended:
        text += " What reached the limit was still learning, or never left its first plateau: raise `epochs`."
    return [Finding("until-converged", text)]


def _range(stops: Epochs) -> str:
    return f"epoch {stops.min()}" if stops.min() == stops.max() else f"epochs {stops.min()} to {stops.max()}"
