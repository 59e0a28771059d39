"""Does a net with more parameters generalize worse?

Held fixed: data, optimizer, learning rate, batch size and epochs; ten multilayer perceptrons 784-a-b-10 that differ in
a and b.
References: Neyshabur et al. 2015, In search of the real inductive bias; Belkin et al. 2019, Reconciling modern
machine-learning practice and the classical bias-variance trade-off.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any, ClassVar

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from dlhw.errors import require
from dlhw.models import architectures
from dlhw.present import curves, findings, generalization, plot, scales, style, sweep_findings
from dlhw.present.curves import CurveRows
from dlhw.present.findings import Finding
from dlhw.present.interactive import MISTAKE, RIGHT, Axis, InteractiveFigure, Line, Panel, mistake_and_right
from dlhw.present.interactive_curves import dots, statistic_of_dots
from dlhw.present.numbers import diverged_note, format_median_range, format_percent
from dlhw.present.section import ComparisonCurves, Curve, Section
from dlhw.present.statistics import spearman
from dlhw.present.tables import Summary, row_medians, statistic_of_tables, statistics
from dlhw.runs import image_training, records
from dlhw.runs.base_settings import BatchSettings
from dlhw.runs.callbacks import gap_error_after
from dlhw.runs.context import Context
from dlhw.runs.jobs import make_job
from dlhw.runs.settings import DatasetDefaults, described, option


@dataclass(frozen=True)
class Settings(BatchSettings):
    """Settings of `dlhw sweep-params`."""

    epochs: int = option(10, "Passes over the training set.")
    learning_rate: float = option(0.0001, "Step size of the optimizer.")
    nets: tuple[str, ...] = option(
        ("400-9", "100-5", "50-5", "600-50", "10-5", "300-20", "400-50", "750-405", "100-50", "100-205"),
        "Nets: hidden widths such as 400-9, or layers such as 20c3-p2-100.",
        notation=architectures.IMAGE_NOTATION,
        describe=architectures.describe_layers,
    )

    DATASET_DEFAULTS: ClassVar[DatasetDefaults] = {
        "digits": {"epochs": 40, "learning_rate": 0.02},
        "mnist-5k": {"epochs": 20, "learning_rate": 0.01},
        "cifar10": {"learning_rate": 0.01},
    }

    def __post_init__(self) -> None:
        super().__post_init__()
        self.check_nets(self.nets, "nets")
        require(len(self.nets) > 1, "`nets` needs at least two nets to compare")


@dataclass(frozen=True)
class Result(CurveRows):
    """One row per net."""

    SIZES: ClassVar = {"R": "nets", "S": "seeds"}
    parameters: Annotated[NDArray[np.integer], "R"]
    gap_error: Annotated[NDArray[np.floating], "R, S"] | None = None  # standard error of test loss - train loss


SECTION = Section(
    "1-3 b",
    "Number of parameters and generalization",
    assignment_settings=(
        *("data", "nets", "epochs", "batch_size", "learning_rate", "momentum", "optimizer", "activation", "init"),
    ),
    captions={"generalization": "Loss, error and their gaps after the last epoch against the number of parameters."},
    pitfalls=(
        "Joining the points to a curve: nets of nearly equal size differ in shape, and learn differently.",
        "Training with a small learning rate for few epochs: no net has fitted, and what is compared is speed, not "
        "generalization.",
    ),
    quick_settings={
        "data": "digits",
        "nets": ("4-4", "10-5", "20-10", "50-9", "100-20", "300-50"),
        "epochs": 15,
        "learning_rate": 0.01,
        "seeds": 2,
    },
)

TINY = Settings(data="digits", nets=("4-3", "8-4", "16-5"), examples=200, epochs=2, learning_rate=0.05, seeds=2)


def run(settings: Settings, context: Context) -> Result:
    """Train every net from every seed."""
    callback = partial(gap_error_after, settings.epochs)
    jobs = {net: partial(make_job, settings, net, callback=callback) for net in settings.nets}
    rows = image_training.train_rows(settings, jobs, context)
    trained = records.stack_curves(rows, CurveRows)
    return Result(
        train_loss=trained.train_loss,
        train_accuracy=trained.train_accuracy,
        test_loss=trained.test_loss,
        test_accuracy=trained.test_accuracy,
        diverged_at=trained.diverged_at,
        seconds=trained.seconds,
        compile_seconds=trained.compile_seconds,
        parameters=np.array([settings.parameters(net) for net in settings.nets]),
        gap_error=records.stack(rows, lambda record: record.measurement("gap_error")[0]),
    )


def figures(settings: Settings, result: Result) -> dict[str, Figure]:
    """Return the figures. `generalization`: final loss, error and their gaps against the number of parameters."""
    fig, axes = plot.figure(4, height=8.6, heights=(1.3, 1.3, 1.0, 1.0))
    x, final = result.parameters, curves.final_values(result)
    for panel, kind in ((axes[0], "loss"), (axes[1], "accuracy")):
        for k, which in enumerate(("train", "test")):
            # No line: nets of nearly equal size can differ in shape, and learn differently.
            values = final[f"{which}_{kind}"]
            values = values if kind == "loss" else curves.errors(values)
            plot.scatter_with_median(panel, x, values, which, k, linestyle="")
    gaps = final["test_loss"] - final["train_loss"], 100 * (final["train_accuracy"] - final["test_accuracy"])
    for panel, values in zip(axes[2:], gaps, strict=True):
        plot.scatter_with_median(panel, x, values, "", 2, linestyle="")
        panel.axhline(0, color=style.TRUTH, linewidth=0.8)
    axes[0].set(ylabel="cross entropy (nats)", xscale="log")
    for panel, low in ((axes[0], 1e-7), (axes[1], curves.LEAST_ERROR)):
        scales.positive_log(panel, low)
    axes[1].set_ylabel("error (%)")
    plot.name_points(axes[0], x, settings.nets, np.nanmax(final["test_loss"], axis=1, initial=0.0))
    axes[2].set_ylabel("test − train (nats)")
    axes[3].set(ylabel="train − test (points)", xlabel="parameters")
    axes[0].set_title(f"After {settings.epochs} epochs on {settings.where()}{diverged_note(result.diverged_at)}")
    plot.legend(axes[1], "dots: seeds, bar: median" if settings.seeds > 1 else "one seed")
    return {"generalization": fig}


def interactive(settings: Settings, result: Result) -> dict[str, InteractiveFigure]:
    """Return `generalization` for the page of a report; the mistake is to join the points."""
    x, final, size = result.parameters, curves.final_values(result), Axis("parameters", log=True)
    nets = np.array(settings.nets)[np.argsort(x, kind="stable")]

    def lines(values: dict[str, np.ndarray]) -> tuple[Line, ...]:
        return tuple(
            dots(label, x, v, color=k if len(values) > 1 else 2, joined=joined, view=view)
            for k, (label, v) in enumerate(values.items())
            for joined, view in ((False, RIGHT), (True, MISTAKE))
        )

    gaps = final["test_loss"] - final["train_loss"], 100 * (final["train_accuracy"] - final["test_accuracy"])
    losses, accuracies = ({w: final[f"{w}_{kind}"] for w in ("train", "test")} for kind in ("loss", "accuracy"))
    errors = {which: curves.errors(values) for which, values in accuracies.items()}
    panels = (
        Panel(size, Axis("cross entropy (nats)", True, 1e-7), lines(losses)),
        Panel(size, Axis("error (%)", True, curves.LEAST_ERROR), lines(errors)),
        Panel(size, Axis("test − train (nats)"), lines({"gap": gaps[0]}), levels=((0.0, ""),)),
        Panel(size, Axis("train − test (points)"), lines({"gap": gaps[1]}), levels=((0.0, ""),)),
    )
    return {
        "generalization": InteractiveFigure(
            panels,
            "net",
            mode="path",
            positions=nets,
            start=0,
            columns=2,
            statistic=statistic_of_dots(settings.seeds),
            views=mistake_and_right(
                ("Usual mistake: joined", "Nets of nearly equal size differ in shape: a curve shows no trend."),
                ("Right: points", "Every net by itself: the median of the seeds, and the seeds as small dots."),
            ),
            own="parameters, value",
        )
    }


def series(settings: Settings, result: Result) -> ComparisonCurves:
    """Return the test loss at the end against the number of parameters."""
    order = np.argsort(result.parameters, kind="stable")
    values = curves.final_values(result)["test_loss"][order].T
    lines = (Curve("test loss", result.parameters[order], values),)
    return ComparisonCurves("parameters", "test cross entropy (nats)", lines, log_x=True, log_y=True)


def summary(settings: Settings, result: Result) -> Summary:
    """Return the table, one row per net by size, and the rank correlation of size with test loss and gap."""
    final, seconds = curves.final_values(result), result.seconds_by_row()
    gap = final["test_loss"] - final["train_loss"]
    numbers: dict[str, Any] = {}
    rows = []
    for k in np.argsort(result.parameters, kind="stable"):
        net, diverged = settings.nets[k], int((result.diverged_at[k] >= 0).sum())
        numbers[net] = {
            "parameters": int(result.parameters[k]),
            **{name: statistics(values[k]) for name, values in final.items()},
            "gap": statistics(gap[k]),
            "diverged": diverged,
            "seconds": statistics(seconds[k]),
        }
        losses = [format_median_range(v) for v in (final["train_loss"][k], final["test_loss"][k], gap[k])]
        accuracies = [format_percent(final[name][k]) for name in ("train_accuracy", "test_accuracy")]
        counts = f"{diverged} of {settings.seeds}", f"{np.median(seconds[k]):.1f}"
        rows.append((net, f"{result.parameters[k]:,}", *losses, *accuracies, *counts))
    all_findings, correlations = _findings(settings, result, final, gap)
    columns = ("net", "parameters", "train loss", "test loss", "gap", "train accuracy, %")
    columns += ("test accuracy, %", "diverged", "seconds")  # type: ignore[assignment]
    title = f"sweep-params on {settings.where()}: after {settings.epochs} epochs, "
    title += statistic_of_tables(settings.seeds)
    in_words = described(settings)
    nets = ("; ".join(in_words[k] for k in np.argsort(result.parameters, kind="stable")),)
    return Summary(title, columns, tuple(rows), tuple(all_findings), numbers | correlations, nets)


def _findings(
    settings: Settings, result: Result, final: dict[str, np.ndarray], gap: np.ndarray
) -> tuple[list[Finding], dict[str, Any]]:
    """Return the findings, and the rank correlations as numbers."""
    all_findings = findings.at_chance(settings.nets, final["train_accuracy"], settings.info.classes)
    quantity = f"test loss ({findings.cross_entropy(settings.info.classes)})"
    all_findings += findings.lowest(settings.nets, final["test_loss"], quantity)
    resolved, on_the_gap = findings.generalization_gap(gap, result.gap_error)
    numbers: dict[str, Any] = {}
    intervals = []
    for name, values in (("test loss", final["test_loss"]), ("gap of the loss", gap)):
        interval = spearman(result.parameters, row_medians(values), seed=settings.seed)
        intervals.append(interval)
        n = int(np.isfinite(values).any(axis=1).sum())
        numbers[f"spearman of parameters and {name}"] = dict(zip(("rho", "low", "high"), interval, strict=True)) | {
            "n": n
        }
        all_findings += on_the_gap if name != "test loss" else []
        if np.isfinite(interval[1]) and (resolved or name == "test loss"):
            higher, lower = (f"nets with more parameters have a {word} {name}" for word in ("higher", "lower"))
            all_findings += findings.rank_correlation(
                "parameters", name, interval, n, "nets", seeds=settings.seeds, higher=higher, lower=lower
            )
    accuracy = final["train_accuracy"]
    best = float(np.nanmax(row_medians(accuracy))) if np.isfinite(accuracy).any() else np.nan
    all_findings += sweep_findings.not_fitted(best, settings.epochs)
    on_the_gap_alone = intervals[1] if resolved else None
    answer = generalization.parameters_and_gap(
        intervals[0], on_the_gap_alone, gap, measured=result.gap_error is not None
    )
    all_findings = answer + all_findings
    all_findings = findings.nothing_learned(accuracy, settings.info.classes) or all_findings
    return all_findings + findings.diverged(settings.nets, result.diverged_at), numbers
