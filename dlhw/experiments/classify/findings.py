"""The table of `classify`, and what its numbers support."""

from __future__ import annotations

from typing import Any

import numpy as np

from dlhw.experiments.classify.spec import Result, Settings
from dlhw.models import architectures
from dlhw.present import curves, findings, stopping
from dlhw.present.numbers import format_median_range, format_percent
from dlhw.present.tables import Summary, row_medians, statistic_of_tables, statistics
from dlhw.present.tuning import Tuning, tuning_findings
from dlhw.runs.settings import described


def tuning_of(settings: Settings, result: Result) -> list[Tuning]:
    """Return what was tuned; nothing without `tune`."""
    if result.tuned_rate is None or result.tuning_loss is None or result.untuned_loss is None:
        return []
    tuned = curves.final_values(result, result.stopped_at)["test_loss"]
    rates = settings.rates, result.tuned_rate, result.tuning_loss, settings.learning_rate
    return [Tuning(settings.models, *rates, tuned, result.untuned_loss, "test loss", "validation loss")]


def summary(settings: Settings, result: Result) -> Summary:
    """Return the table, one row per net, and findings: which net has the lowest test loss and error."""
    final = curves.final_values(result, result.stopped_at)
    seconds, compile_seconds = result.seconds_by_row(), result.compile_seconds_by_row()
    numbers: dict[str, Any] = {}
    rows = []
    for k, net in enumerate(settings.models):
        diverged = int((result.diverged_at[k] >= 0).sum())
        layers = sum(layer.kind != "pool" for layer in architectures.parse_layers(net)) + 1
        numbers[net] = {
            "layers": layers,
            "parameters": settings.parameters(net),
            **{name: statistics(values[k]) for name, values in final.items()},
            **({} if result.stopped_at is None else {"stopped_at": result.stopped_at[k].tolist()}),
            **({} if result.tuned_rate is None else {"learning_rate": float(result.tuned_rate[k])}),
            "diverged": diverged,
            "seconds": statistics(seconds[k]),
            "compile_seconds": statistics(compile_seconds[k]),
        }
        losses = [format_median_range(final[name][k]) for name in ("train_loss", "test_loss", "best_test_loss")]
        accuracies = [
            format_percent(final[name][k]) for name in ("train_accuracy", "test_accuracy", "best_test_accuracy")
        ]
        rate = () if result.tuned_rate is None else (f"{result.tuned_rate[k]:g}",)
        stops = () if result.stopped_at is None else (stopping.column(result.stopped_at[k]),)
        counts = f"{diverged} of {settings.seeds}", f"{np.median(seconds[k]):.3g}"
        rows.append((net, str(layers), f"{settings.parameters(net):,}", *rate, *losses, *accuracies, *stops, *counts))
    rate_column = () if result.tuned_rate is None else ("tuned learning rate",)
    columns = (
        "net",
        "layers",
        "parameters",
        *rate_column,
        "train loss",
        "test loss",
        "best test loss (selected on test)",
    )
    stop_column = () if result.stopped_at is None else ("converged at epoch",)
    columns += ("train accuracy, %", "test accuracy, %", "best test accuracy, %", *stop_column, "diverged", "seconds")
    statistic = statistic_of_tables(settings.seeds)
    most = "" if result.stopped_at is None else "at most "
    title = f"classify {settings.where()}: after {most}{settings.epochs} epochs, {statistic}"
    comparisons = [
        *_fewest_errors(settings, 100 * (1 - final["test_accuracy"])),
        *findings.at_chance(settings.models, final["train_accuracy"], settings.info.classes),
        *findings.lowest(
            settings.models, final["test_loss"], f"test loss ({findings.cross_entropy(settings.info.classes)})"
        ),
        *_differ_in_size(settings),
    ]
    all_findings = [
        *(findings.nothing_learned(final["train_accuracy"], settings.info.classes) or comparisons),
        *(finding for tuned in tuning_of(settings, result) for finding in tuning_findings(tuned)),
        *stopping.finding(settings.models, result.stopped_at, result.diverged_at, settings.epochs),
        *findings.diverged(settings.models, result.diverged_at),
    ]
    return Summary(title, columns, tuple(rows), tuple(all_findings), numbers, described(settings))


def _fewest_errors(settings: Settings, errors: np.ndarray) -> list[findings.Finding]:
    """State which net has the lowest test error; errors: (nets, seeds) in per cent."""
    fractions = row_medians(errors) / 100
    # All seeds are tested on the same images, so that more seeds do not lower this standard error.
    standard_errors = 100 * np.sqrt(fractions * (1 - fractions) / settings.info.test)
    return findings.lowest(
        settings.models,
        errors,
        "test error (in %, 100 minus the accuracy)",
        standard_errors=np.nan_to_num(standard_errors).tolist(),
        answers=("{best} learns these images best", "This run does not show which net learns these images best"),
    )


def _differ_in_size(settings: Settings) -> list[findings.Finding]:
    """State that a difference between nets of different size is not one of depth."""
    sizes = [settings.parameters(net) for net in settings.models]
    if len(sizes) < 2 or max(sizes) <= 1.01 * min(sizes):
        return []
    text = f"The nets have {min(sizes):,} to {max(sizes):,} parameters and differ in shape: a difference between them "
    text += "does not show whether depth, width or size made it."
    return [findings.Finding("different-sizes", text)]
