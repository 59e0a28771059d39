"""Long curves in few points, and the quantities that follow from recorded norms. NumPy only."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dlhw.present.section import ComparisonCurves, Curve
from dlhw.watch.spec import Result, Settings

Array = NDArray[np.floating]

MOST = 400
"""Points of a curve that is drawn; a longer one is drawn as medians over equal runs of steps."""
TAIL = 0.05
"""Share of the recorded steps that counts as the end."""


@dataclass(frozen=True)
class Envelope:
    """A curve over at most :data:`MOST` points: medians over runs of `width` steps, with minimum and maximum."""

    x: Array
    median: Array
    low: Array
    high: Array
    width: int


def envelope(x: NDArray[np.integer | np.floating], values: Array, most: int = MOST) -> Envelope:
    """Return the finite values of a curve as medians over equal runs.

    Args:
        x: (n,).
        values: (n,); those that are not finite are left out.
        most: points.
    """
    finite = np.isfinite(values)
    x, values = np.asarray(x, np.float64)[finite], np.asarray(values, np.float64)[finite]
    rows, width = grouped(values[:, None], most)
    places, _ = grouped(x[:, None], most)
    with _quietly():
        low, high = np.nanmin(rows, axis=1)[:, 0], np.nanmax(rows, axis=1)[:, 0]
        return Envelope(np.nanmean(places, axis=1)[:, 0], np.nanmedian(rows, axis=1)[:, 0], low, high, width)


def grouped(values: Array, most: int = MOST) -> tuple[Array, int]:
    """Return rows (n, K) as equal runs, (groups, width, K), the last filled up with nan, and the width."""
    width = max(1, -(-len(values) // most))
    groups = -(-len(values) // width)
    padded = np.full((groups * width, values.shape[1]), np.nan)
    padded[: len(values)] = values
    return padded.reshape(groups, width, values.shape[1]), width


def grid(x: NDArray[np.integer], values: Array, most: int) -> tuple[Array, Array]:
    """Return places (groups,) and medians (groups, K) of values (n, K) over equal runs of rows; nan where none is."""
    rows, _ = grouped(np.where(np.isfinite(values), values, np.nan), most)
    places, _ = grouped(np.asarray(x, np.float64)[:, None], most)
    with _quietly():
        return np.nanmean(places, axis=1)[:, 0], np.nanmedian(rows, axis=1)


def update_ratio(result: Result) -> Array:
    """Return the norm of the update over that of the weights, (S, L); nan where no update was made, or no weights."""
    weights = np.asarray(result.weight_norm, np.float64)
    known = result.updated[:, None] & np.isfinite(result.update_norm) & (weights > 0)
    ratio = np.full(weights.shape, np.nan)
    np.divide(result.update_norm, weights, out=ratio, where=known)
    return ratio


def whole_norm(norms: Array) -> Array:
    """Return the norm over all layers of every step, (S,), from those of the layers; nan where no layer has one."""
    norms = np.asarray(norms, np.float64)
    total = np.sqrt(np.nansum(norms**2, axis=1))
    return np.where(np.isnan(norms).all(axis=1), np.nan, total)


def is_clipped(result: Result) -> NDArray[np.bool_]:
    """Return of which layers, (L,), an update used a gradient of another norm than that of the batch."""
    raw, applied = (np.asarray(v, np.float64) for v in (result.gradient_norm, result.applied_norm))
    with np.errstate(invalid="ignore"):
        differs = np.abs(applied - raw) > 1e-3 * raw
    return np.asarray((differs & result.updated[:, None] & np.isfinite(raw) & np.isfinite(applied)).any(axis=0))


def column_medians(values: Array) -> Array:
    """Return the median of the finite values of every column, (n, K) -> (K,); nan where there are none."""
    with _quietly():
        return np.asarray(np.nanmedian(np.where(np.isfinite(values), values, np.nan), axis=0), np.float64)


def first_values(values: Array) -> Array:
    """Return the first finite value of every column, (n, K) -> (K,); nan where there is none."""
    finite = np.isfinite(values)
    if not len(values):
        return np.full(values.shape[1], np.nan)
    first = np.take_along_axis(np.asarray(values, np.float64), finite.argmax(axis=0)[None], axis=0)[0]
    return np.where(finite.any(axis=0), first, np.nan)


def last_values(values: Array) -> Array:
    """Return the last finite value of every column, (n, K) -> (K,); nan where there is none."""
    return first_values(values[::-1])


def end_medians(values: Array) -> Array:
    """Return the median of the last :data:`TAIL` of the finite values of every column, (n, K) -> (K,)."""
    medians = np.full(values.shape[1], np.nan)
    for k, column in enumerate(np.asarray(values, np.float64).T):
        finite = column[np.isfinite(column)]
        if len(finite):
            medians[k] = np.median(finite[-max(1, round(TAIL * len(finite))) :])
    return medians


def series(settings: Settings, result: Result) -> ComparisonCurves:
    """Return the loss of the batch and of the probe, for comparisons of runs."""
    batch = envelope(result.step, result.loss)
    curves = [Curve("loss of the batch", np.floor(batch.x), batch.median[None])] if len(batch.x) else []
    known = np.isfinite(result.probe_loss)
    if known.any():
        curves.append(
            Curve("loss on the probe", result.probe_step[known], np.asarray(result.probe_loss, np.float64)[known][None])
        )
    shown = np.concatenate([curve.values.ravel() for curve in curves]) if curves else np.zeros(1)
    return ComparisonCurves("batch", "loss", tuple(curves), log_y=bool((shown > 0).all()))


@contextmanager
def _quietly() -> Iterator[None]:
    """No warnings of rows that are nan throughout, whose statistics are nan."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        yield
