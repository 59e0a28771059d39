"""The table of `simulate`, and what its numbers support."""

from __future__ import annotations

from typing import Any

import numpy as np

from dlhw.experiments.simulate.depth import depth_helps
from dlhw.experiments.simulate.spec import Result, Settings
from dlhw.models import architectures
from dlhw.present import findings, stopping
from dlhw.present.findings import Finding
from dlhw.present.numbers import format_median_range, format_number
from dlhw.present.tables import Summary, statistic_of_tables, statistics
from dlhw.present.tuning import Tuning, tuning_findings
from dlhw.runs.settings import described

THRESHOLDS = (1e-2, 1e-3)
"""Training errors for which the table gives the epoch at which they are first reached."""


LATE = "mean squared error, median of the last 5 % of the epochs"


def measures(settings: Settings, result: Result) -> dict[str, np.ndarray]:
    """Return final, best and median-of-the-last-5-% MSE, (N, S), and epochs to each threshold (nan: never).

    The end, and the 5 %, are those of every training; diverged ones are nan everywhere.
    """
    loss = np.where((result.diverged_at >= 0)[..., None], np.nan, result.loss.astype(np.float64))
    last = stopping.last_epochs(result.stopped_at, loss)
    out = {"final_mse": stopping.at_end(loss, last), "best_mse": stopping.held(loss, last).min(axis=-1)}
    out["late_mse"] = stopping.late_medians(loss, last)
    for limit in THRESHOLDS:
        under = loss <= limit
        out[f"epochs_to_{limit:g}"] = np.where(under.any(axis=-1), under.argmax(axis=-1), np.nan)
    return out


def tuning_of(settings: Settings, result: Result) -> list[Tuning]:
    """Return what was tuned; nothing without `tune`."""
    if result.tuned_rate is None or result.tuning_loss is None or result.untuned_loss is None:
        return []
    tuned, what = measures(settings, result)["late_mse"], "training MSE (median of the last 5 % of the epochs)"
    rates = settings.rates, result.tuned_rate, result.tuning_loss, settings.learning_rate
    return [Tuning(settings.models, *rates, tuned, result.untuned_loss, what, "training MSE")]


def summary(settings: Settings, result: Result) -> Summary:
    """Return the table and findings: one row per net; which net fits best, as far as the seeds show."""
    measured = measures(settings, result)
    numbers: dict[str, Any] = {}
    rows = []
    for k, net in enumerate(settings.models):
        widths = architectures.parse(net)
        dead, diverged = int(result.dead[k].sum()), int((result.diverged_at[k] >= 0).sum())
        numbers[net] = {
            "layers": len(widths) + 1,
            "parameters": architectures.count(widths),
            **{name: statistics(values[k]) for name, values in measured.items()},
            **({} if result.stopped_at is None else {"stopped_at": result.stopped_at[k].tolist()}),
            **({} if result.tuned_rate is None else {"learning_rate": float(result.tuned_rate[k])}),
            "dead": dead,
            "diverged": diverged,
            "seconds": result.seconds[k],
            "compile_seconds": result.compile_seconds[k],
        }
        reached = [_reached(measured[f"epochs_to_{limit:g}"][k]) for limit in THRESHOLDS]
        errors = [format_median_range(measured[name][k]) for name in ("final_mse", "best_mse", "late_mse")]
        counts = f"{dead} of {settings.seeds}", f"{diverged} of {settings.seeds}", f"{result.seconds[k]:.1f}"
        rate = () if result.tuned_rate is None else (f"{result.tuned_rate[k]:g}",)
        stops = () if result.stopped_at is None else (stopping.column(result.stopped_at[k]),)
        rows.append(
            (net, str(len(widths) + 1), str(architectures.count(widths)), *rate, *errors, *reached, *stops, *counts)
        )
    rate_column = () if result.tuned_rate is None else ("tuned learning rate",)
    columns = ("net", "layers", "parameters", *rate_column, "final MSE", "best MSE", "median of last 5 %")
    stop_column = () if result.stopped_at is None else ("converged at epoch",)
    columns += (*(f"epochs to {limit:g}" for limit in THRESHOLDS), *stop_column, "dead", "diverged", "seconds")
    most = "" if result.stopped_at is None else "until converged, at most "
    title = f"simulate {settings.func}: {most}{settings.epochs} epochs, {statistic_of_tables(settings.seeds)}"
    all_findings = [
        *depth_helps(settings, measured["late_mse"]),
        *findings.lowest(settings.models, measured["late_mse"], f"training MSE ({LATE})"),
        *(finding for tuned in tuning_of(settings, result) for finding in tuning_findings(tuned)),
        *stopping.finding(settings.models, result.stopped_at, result.diverged_at, settings.epochs),
        *_dead_nets(settings, result),
        *findings.diverged(settings.models, result.diverged_at),
    ]
    return Summary(title, columns, tuple(rows), tuple(all_findings), numbers, described(settings))


def _reached(epochs: np.ndarray) -> str:
    """Return the epochs to a threshold over the seeds as text; epochs: (seeds,), nan: never."""
    finite = epochs[np.isfinite(epochs)]
    if not len(finite):
        return "never"
    text = f"{np.median(finite):.0f}" + (f" ({finite.min():.0f} to {finite.max():.0f})" if len(epochs) > 1 else "")
    return text + (f", {len(finite)} of {len(epochs)}" if len(finite) < len(epochs) else "")


def _dead_nets(settings: Settings, result: Result) -> list[Finding]:
    """State how many nets have a constant output."""
    constant = format_number(float(np.var(result.y[::5])))
    return [
        Finding(
            "dead-nets",
            f"{dead} of {settings.seeds} trainings of {net} end as a constant output (a dead net, or one still on the "
            f"first plateau): the best constant has an MSE of {constant}, so a loss near that is no slow success.",
        )
        for net, dead in zip(settings.models, result.dead.sum(axis=1), strict=True)
        if dead
    ]
