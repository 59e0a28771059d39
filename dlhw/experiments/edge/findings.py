"""The table of `edge`, and what its numbers support."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from dlhw.experiments.edge.numbers import Numbers, numbers_of
from dlhw.experiments.edge.sentences import format_ratio, sentences
from dlhw.experiments.edge.spec import Result, Settings
from dlhw.present.numbers import NONE, format_median_range, format_number, format_percent
from dlhw.present.tables import Summary, statistic_of_tables, statistics
from dlhw.runs.settings import described


def columns(settings: Settings) -> tuple[str, ...]:
    """Return the headings of the table."""
    return (
        "learning rate",
        settings.line_name,
        "sharpness at start",
        "line reached at step",
        "late sharpness",
        "late sharpness / line",
        "steps raising the loss, before (%)",
        "from there on (%)",
        "late |g|² along the first eigenvector (%)",
        f"late {settings.loss_name()}",
        "diverged",
    )


def summary(settings: Settings, result: Result) -> Summary:
    """Return the table, one row per learning rate, and the findings."""
    numbers = numbers_of(settings, result)
    diverged = (result.diverged_at >= 0).sum(axis=1)
    rows = [_row(settings, numbers, r, int(diverged[r])) for r in range(len(settings.learning_rates))]
    listed: dict[str, Any] = {"parameters": settings.parameters, "factor": settings.factor}
    for r, rate in enumerate(settings.learning_rates):
        listed[f"rate {rate:g}"] = {
            "line": float(settings.lines[r]),
            "sharpness_at_start": statistics(numbers.start[r]),
            "reached_at": numbers.reached_at[r].tolist(),
            "late_sharpness": statistics(numbers.late_sharpness[r]),
            "late_ratio": statistics(numbers.late_ratio[r]),
            "raised_before": statistics(numbers.raised_before[r]),
            "raised_after": statistics(numbers.raised[r]),
            "late_overlap": statistics(numbers.overlap[r, :, 0]),
            "late_overlap_of_three": statistics(numbers.overlap[r, :, 1]),
            "late_loss": statistics(numbers.loss[r]),
            "diverged": int(diverged[r]),
        }
    listed |= {"measurements": int(np.isfinite(result.gradient_norm).sum())}
    listed |= {"not_converged": int((~result.converged).sum())}
    listed |= {"seconds": result.seconds, "compile_seconds": result.compile_seconds}
    listed |= {"curvature_seconds": result.curvature_seconds}
    title = (
        f"edge: {settings.net} {settings.activation} net on {settings.where()}, {settings.optimizer_name()}, "
        f"{settings.epochs} steps; {statistic_of_tables(settings.seeds)}; late: the last quarter of the steps"
    )
    return Summary(
        title, columns(settings), tuple(rows), tuple(sentences(settings, result, numbers)), listed, described(settings)
    )


def _row(settings: Settings, numbers: Numbers, r: int, diverged: int) -> tuple[str, ...]:
    return (
        f"{settings.learning_rates[r]:g}",
        format_number(float(settings.lines[r])),
        format_median_range(numbers.start[r]),
        _reached(numbers.reached_at[r]),
        format_median_range(numbers.late_sharpness[r]),
        format_ratio(numbers.late_ratio[r]),
        format_percent(numbers.raised_before[r]),
        format_percent(numbers.raised[r]),
        format_percent(numbers.overlap[r, :, 0]),
        format_median_range(numbers.loss[r]),
        str(diverged) if diverged else NONE,
    )


def _reached(at: NDArray[np.integer]) -> str:
    """Return when the line was reached, and by how many seeds if not by all."""
    reached = at[at >= 0]
    if not len(reached):
        return "never"
    text = str(int(np.median(reached))) + (f" ({reached.min()} to {reached.max()})" if len(at) > 1 else "")
    return text if len(reached) == len(at) else f"{text}, {len(reached)} of {len(at)}"
