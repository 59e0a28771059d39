"""The table of `gradient-norm`, and what its numbers support."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from dlhw.experiments.gradient_norm.sentences import sentences
from dlhw.experiments.gradient_norm.spec import Result, Settings
from dlhw.present.numbers import NONE, format_number
from dlhw.present.tables import Summary, statistics
from dlhw.runs.settings import described

Array = NDArray[np.floating]
COLUMNS = (
    "seed",
    "norm at start",
    "largest",
    "median of last 5 %",
    "loss, median of last 5 %",
    "rank correlation of norm and loss (95 %)",
    "diverged at",
)


def summary(settings: Settings, result: Result) -> Summary:
    """Return the table and findings: one row per seed, and whether norm and loss go together."""
    converged = result.diverged_at < 0
    norm, loss = (
        np.where(converged[:, None], v.astype(np.float64), np.nan) for v in (result.gradient_norm, result.loss)
    )
    tail = max(1, round(0.05 * settings.epochs))
    late, late_loss = (np.median(v[:, -tail:], axis=1) for v in (norm, loss))
    rows = []
    for s in range(settings.seeds):
        cells = [format_number(float(v)) for v in (norm[s, 0], norm[s].max(), late[s], late_loss[s])]
        diverged = NONE if converged[s] else str(result.diverged_at[s])
        rows.append((str(settings.seed + s), *cells, _interval(result.correlation[s]), diverged))
    numbers = {
        "parameters": settings.parameters,
        "gradient_norm_at_start": statistics(norm[:, 0]),
        "gradient_norm_largest": statistics(norm.max(axis=1)),
        "gradient_norm_late": statistics(late),
        "loss_late": statistics(late_loss),
        "spearman": statistics(result.correlation[:, 0]),
        "spearman_interval_of_each_seed": result.correlation[:, 1:].tolist(),
        "iterations": settings.epochs,
        "diverged": int((~converged).sum()),
        "seconds": result.seconds,
        "compile_seconds": result.compile_seconds,
    }
    target = settings.func if settings.data == "function" else settings.where()
    title = f"gradient-norm of the {settings.model} net on {target}: {settings.epochs} iterations, every seed"
    return Summary(
        title, COLUMNS, tuple(rows), tuple(sentences(settings, result, norm[:, 0], late)), numbers, described(settings)
    )


def _interval(correlation: Array) -> str:
    """Return a correlation with its interval as text; correlation: (3,)."""
    rho, low, high = (f"{v:.2f}" if np.isfinite(v) else NONE for v in correlation)
    return f"{rho} ({low} to {high})" if np.isfinite(correlation[1]) else rho
