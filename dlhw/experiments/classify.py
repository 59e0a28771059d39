"""Which of three convolutional nets learns images best: deep, wide, or plain?

Held fixed: data, optimizer, learning rate, batch size and epochs; the nets differ in depth, width and number of
parameters, as in the course assignment NTU MLDS HW1-1. Loss and accuracy are evaluated in inference mode after every
epoch.
Reference: LeCun et al. 1998, Gradient-based learning applied to document recognition.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar

import numpy as np
from matplotlib.figure import Figure

from dlhw.models import architectures
from dlhw.present import curves, findings, interactive_curves
from dlhw.present.curves import CurveRows
from dlhw.present.interactive import InteractiveFigure
from dlhw.present.numbers import diverged_note, format_mean_std, format_percent
from dlhw.present.section import ComparisonCurves, Section
from dlhw.present.tables import Summary, row_medians, statistic_of_figures, statistic_of_tables, statistics
from dlhw.runs import image_training, records
from dlhw.runs.base_settings import BatchSettings
from dlhw.runs.context import Context
from dlhw.runs.jobs import make_job
from dlhw.runs.settings import DatasetDefaults, option


@dataclass(frozen=True)
class Settings(BatchSettings):
    """Settings of `dlhw classify`."""

    models: tuple[str, ...] = option(
        ("deep", "wide", "plain"), "Nets: deep, wide, plain, or layers such as 20c3-p2-16c3-p2-700-95-90."
    )

    DATASET_DEFAULTS: ClassVar[DatasetDefaults] = {
        "digits": {"models": ("8c3-8c3-p2-32-16", "32c3-p2-32", "8c3-p2-32"), "learning_rate": 0.02},
        "mnist-5k": {"learning_rate": 0.01},
        "cifar10": {"learning_rate": 0.01},
    }

    def __post_init__(self) -> None:
        super().__post_init__()
        self.check_nets(self.models, "models")


@dataclass(frozen=True)
class Result(CurveRows):
    """One row per net."""

    SIZES: ClassVar = {"R": "models", "S": "seeds"}


SECTION = Section(
    "1-1 b",
    "Three convolutional nets on images",
    assignment_settings=(
        "data",
        "epochs",
        "batch_size",
        "learning_rate",
        "momentum",
        "optimizer",
        "activation",
        "init",
        "models",
    ),
    captions={
        "curves": "Loss and error after every epoch, training solid, test dashed: median and range of the seeds."
    },
    pitfalls=(
        "Plotting the running mean of the training loss over an epoch beside the test loss at its end: the gap between "
        "them is wrong.",
        "Calling nets with different numbers of parameters deep and shallow: depth then gets the credit for size.",
    ),
    quick_settings={
        "data": "digits",
        "models": ("8c3-p2-50", "16c3-p2-30", "30"),
        "epochs": 15,
        "learning_rate": 0.02,
        "seeds": 2,
    },
)

TINY = Settings(data="digits", models=("2c3-p2-8", "10"), examples=200, epochs=2, learning_rate=0.05, seeds=2)


def run(settings: Settings, context: Context) -> Result:
    """Train every net from every seed."""
    rows = {net: partial(make_job, settings, net) for net in settings.models}
    return records.stack_curves(image_training.train_rows(settings, rows, context), Result)


def _labels(settings: Settings, result: Result) -> list[str]:
    return [
        f"{net}: {settings.parameters(net):,} parameters" + diverged_note(result.diverged_at[k])
        for k, net in enumerate(settings.models)
    ]


def figures(settings: Settings, result: Result) -> dict[str, Figure]:
    """Return the figures. `curves`: loss and error against epoch, training solid, test dashed."""
    title = "Nets of different shape learn the same images"
    statistic = statistic_of_figures(settings.seeds)
    return {"curves": curves.curve_figure(result, _labels(settings, result), title, settings.where(), statistic)}


def interactive(settings: Settings, result: Result) -> dict[str, InteractiveFigure]:
    """Return `curves` for the page of a report."""
    labels, statistic = _labels(settings, result), statistic_of_figures(settings.seeds)
    return {"curves": interactive_curves.learning_curves(result, labels, statistic)}


def series(settings: Settings, result: Result) -> ComparisonCurves:
    """Return the test loss against epoch, one line per net."""
    return curves.comparison(settings.models, result)


def summary(settings: Settings, result: Result) -> Summary:
    """Return the table, one row per net, and findings: which net has the lowest test loss and error."""
    final = curves.final_values(result)
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
            "diverged": diverged,
            "seconds": statistics(seconds[k]),
            "compile_seconds": statistics(compile_seconds[k]),
        }
        losses = [format_mean_std(final[name][k]) for name in ("train_loss", "test_loss", "best_test_loss")]
        accuracies = [
            format_percent(final[name][k]) for name in ("train_accuracy", "test_accuracy", "best_test_accuracy")
        ]
        counts = f"{diverged} of {settings.seeds}", f"{seconds[k].mean():.3g}"
        rows.append((net, str(layers), f"{settings.parameters(net):,}", *losses, *accuracies, *counts))
    columns = ("net", "layers", "parameters", "train loss", "test loss", "best test loss (selected on test)")
    columns += ("train accuracy, %", "test accuracy, %", "best test accuracy, %", "diverged", "seconds")  # type: ignore[assignment]
    statistic = statistic_of_tables(settings.seeds)
    title = f"classify {settings.where()}: after {settings.epochs} epochs, {statistic}"
    comparisons = [
        *findings.at_chance(settings.models, final["train_accuracy"], settings.info.classes),
        *findings.lowest(settings.models, final["test_loss"], "test loss"),
        *_fewest_errors(settings, 100 * (1 - final["test_accuracy"])),
    ]
    all_findings = [
        *(findings.nothing_learned(final["train_accuracy"], settings.info.classes) or comparisons),
        *findings.diverged(settings.models, result.diverged_at),
    ]
    return Summary(title, columns, tuple(rows), tuple(all_findings), numbers)


def _fewest_errors(settings: Settings, errors: np.ndarray) -> list[findings.Finding]:
    """State which net has the lowest test error; errors: (nets, seeds) in per cent."""
    fractions = row_medians(errors) / 100
    # All seeds are tested on the same images, so that more seeds do not lower this standard error.
    standard_errors = 100 * np.sqrt(fractions * (1 - fractions) / settings.info.test)
    return findings.lowest(
        settings.models, errors, "test error (in %)", standard_errors=np.nan_to_num(standard_errors).tolist()
    )
