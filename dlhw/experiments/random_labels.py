"""Can a net fit random labels, and what is its test accuracy then?

Held fixed: net, images, optimizer, learning rate, batch size and epochs; only a fraction of the training labels is
shuffled, once, before the first epoch. Test labels stay true.
Reference: Zhang et al. 2017, Understanding deep learning requires rethinking generalization.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar

import numpy as np
from matplotlib.figure import Figure

from dlhw import datasets
from dlhw.choices import OptimizerName
from dlhw.errors import require
from dlhw.models import architectures
from dlhw.present import curves, findings, interactive_curves
from dlhw.present.curves import CurveRows
from dlhw.present.findings import CHANCE, FITTED, Finding
from dlhw.present.interactive import InteractiveFigure
from dlhw.present.numbers import diverged_note, format_median_range, format_number, format_percent
from dlhw.present.section import ComparisonCurves, Section
from dlhw.present.tables import Summary, statistic_of_figures, statistic_of_tables, statistics
from dlhw.runs import image_training, records
from dlhw.runs.base_settings import BatchSettings
from dlhw.runs.context import Context
from dlhw.runs.jobs import Job, make_job
from dlhw.runs.settings import DatasetDefaults, described, option


@dataclass(frozen=True)
class Settings(BatchSettings):
    """Settings of `dlhw random-labels`."""

    epochs: int = option(100, "Passes over the training set.")
    learning_rate: float = option(0.0001, "Step size of the optimizer.")
    optimizer: OptimizerName = option("adam", "Optimizer.")
    seeds: int = option(1, "Number of repeats.")
    net: str = option(
        "deep",
        "Net: deep, wide, plain, or layers such as 20c3-p2-100.",
        notation=architectures.IMAGE_NOTATION,
        describe=architectures.describe_layers,
    )
    noise: tuple[float, ...] = option((0.0, 1.0), "Fractions of the training labels that are shuffled.")

    DATASET_DEFAULTS: ClassVar[DatasetDefaults] = {
        "digits": {"net": "200-100", "epochs": 250, "learning_rate": 0.001},
        "mnist-5k": {"learning_rate": 0.001},
    }

    def __post_init__(self) -> None:
        super().__post_init__()
        self.check_nets((self.net,), "net")
        require(len(self.noise) > 0, "`noise` is empty; give at least one fraction, such as 0,1")
        require(len(set(self.noise)) == len(self.noise), "`noise` names a fraction twice")
        for fraction in self.noise:
            valid = 0 <= fraction <= 1
            require(valid, f"`noise` {fraction:g} must lie in [0, 1]: the fraction of labels that are shuffled")


@dataclass(frozen=True)
class Result(CurveRows):
    """One row per noise level. Training loss and accuracy are those of the labels trained on; test labels are true."""

    SIZES: ClassVar = {"R": "noise", "S": "seeds"}


SECTION = Section(
    "1-3 a",
    "Random labels",
    assignment_settings=("data", "net", "epochs", "batch_size", "learning_rate", "optimizer", "activation", "init"),
    captions={"curves": "Loss and accuracy after every epoch on true and on shuffled labels; chance is dotted."},
    pitfalls=(
        "Drawing new labels in every epoch: then nothing can be learned, and the net seems unable to fit noise.",
        "Shuffling the test labels too: test accuracy is then at chance whatever was learned.",
    ),
    quick_settings={"data": "digits", "net": "200-100", "examples": 600, "epochs": 60, "learning_rate": 0.001},
)

TINY = Settings(data="digits", net="10", examples=100, epochs=2, learning_rate=0.01, seeds=2)


def run(settings: Settings, context: Context) -> Result:
    """Train the net on every noise level from every seed."""

    def job(noise: float, seed: int) -> Job:
        shuffled = partial(datasets.shuffle_labels, noise=noise, seed=seed)
        return make_job(settings, settings.net, seed, labels=shuffled)

    rows = {f"noise {noise!r}": partial(job, noise) for noise in settings.noise}
    return records.stack_curves(image_training.train_rows(settings, rows, context), Result)


def _label(noise: float) -> str:
    return {0.0: "true labels", 1.0: "random labels"}.get(noise, f"{100 * noise:g} % of labels shuffled")


def _labels(settings: Settings, result: Result) -> list[str]:
    return [_label(noise) + diverged_note(result.diverged_at[k]) for k, noise in enumerate(settings.noise)]


def figures(settings: Settings, result: Result) -> dict[str, Figure]:
    """Return the figures. `curves`: loss and accuracy against epoch for every noise level; chance is dotted."""
    labels = _labels(settings, result)
    title = f"{settings.net} net ({settings.parameters(settings.net):,} parameters), labels true and shuffled"
    chance, statistic = 1 / settings.info.classes, statistic_of_figures(settings.seeds)
    return {"curves": curves.curve_figure(result, labels, title, settings.where(), statistic, chance)}


def interactive(settings: Settings, result: Result) -> dict[str, InteractiveFigure]:
    """Return `curves` for the page of a report."""
    labels, statistic = _labels(settings, result), statistic_of_figures(settings.seeds)
    chance = 1 / settings.info.classes
    return {"curves": interactive_curves.learning_curves(result, labels, statistic, chance, item="random-labels")}


def epochs_to_fit(result: Result) -> np.ndarray:
    """Return the first epoch with a training accuracy of 99 %, (levels, seeds); nan: never reached, or diverged."""
    reached = result.train_accuracy >= FITTED
    return np.where(reached.any(axis=-1) & (result.diverged_at < 0), reached.argmax(axis=-1), np.nan)


def series(settings: Settings, result: Result) -> ComparisonCurves:
    """Return the training accuracy against epoch, one line per noise level."""
    return curves.comparison([_label(noise) for noise in settings.noise], result, "train_accuracy")


def summary(settings: Settings, result: Result) -> Summary:
    """Return the table, one row per noise level: how far the labels were learned, and the test accuracy."""
    final, fitted, seconds = curves.final_values(result), epochs_to_fit(result), result.seconds_by_row()
    numbers: dict[str, Any] = {"parameters": settings.parameters(settings.net)}
    rows = []
    for k, noise in enumerate(settings.noise):
        numbers[f"noise {noise!r}"] = {
            **{name: statistics(values[k]) for name, values in final.items()},
            "epochs_to_99": statistics(fitted[k]),
            "diverged": int((result.diverged_at[k] >= 0).sum()),
            "seconds": statistics(seconds[k]),
        }
        names = ("train_loss", "test_loss", "late_test_loss", "best_test_loss")
        losses = [format_median_range(final[name][k]) for name in names]
        accuracies = [format_percent(final[name][k]) for name in ("train_accuracy", "test_accuracy")]
        reached = "never" if np.isnan(fitted[k]).all() else format_median_range(fitted[k])
        rows.append((_label(noise), *losses, *accuracies, reached, f"{np.median(seconds[k]):.3g}"))
    columns = ("labels", "train loss", "test loss", "test loss, median of last 5 %")
    columns += ("best test loss (selected on test)", "train accuracy, %", "test accuracy, %")  # type: ignore[assignment]
    columns += ("epochs to 99 % train accuracy", "seconds")  # type: ignore[assignment]
    title = f"random-labels on {settings.where()}: after {settings.epochs} epochs, "
    title += statistic_of_tables(settings.seeds)
    fits = _random_labels(settings, final, fitted)
    fits += [_fit(settings, k, final, fitted[k]) for k in range(len(settings.noise))]
    fits += _same_fit(settings, final)
    fits += findings.one_seed(settings.seeds, "training per noise level")
    all_findings = [
        *(findings.nothing_learned(final["train_accuracy"], settings.info.classes) or fits),
        *findings.diverged([_label(noise) for noise in settings.noise], result.diverged_at),
    ]
    return Summary(title, columns, tuple(rows), tuple(all_findings), numbers, described(settings))


def _random_labels(settings: Settings, final: dict[str, np.ndarray], fitted: np.ndarray) -> list[Finding]:
    """Answer whether the net fits labels that are all shuffled, and what its test accuracy is and why."""
    if 1.0 not in settings.noise:
        return []
    k, guessing = settings.noise.index(1.0), 1 / settings.info.classes
    train, test = (final[name][k] for name in ("train_accuracy", "test_accuracy"))
    if not np.isfinite(train).any():
        return []
    accuracy, chance = format_percent(test, " %"), f"{100 * guessing:.3g} %"
    reached, n = int(np.isfinite(fitted[k]).sum()), int(np.isfinite(train).sum())
    learned = bool(np.nanmedian(train) >= CHANCE * guessing)
    by_heart = f"{format_percent(train, ' %')} of these training labels"
    if reached == n:
        fit = f"The net can fit random labels by heart ({by_heart})"
    elif learned:
        fit = f"The net learns random labels by heart only in part in {settings.epochs} epochs ({by_heart})"
        fit += f", and {reached} of {n} trainings reach {100 * FITTED:g} %" if reached else ""
    else:
        fit = f"The net does not learn the random labels in {settings.epochs} epochs ({by_heart}, chance {chance})"
    if bool((test[np.isfinite(test)] < CHANCE * guessing).all()):
        text = f"{fit}, and it gets {accuracy} of the test images right, no better than guessing ({chance}): labels "
        text += "that are "
        text += "shuffled over all images say nothing about what is in an image, so nothing of them helps on new ones"
    else:
        text = f"{fit}, and yet it gets {accuracy} of the test images right, clearly more than guessing ({chance}), "
        text += "which "
        text += "shuffled labels cannot teach; the labels of these test images need a check"
    if settings.seeds == 1:
        text = f"In this one training, {text[0].lower()}{text[1:]}"
    return [Finding("random-labels", f"{text}.")]


def _fit(settings: Settings, k: int, final: dict[str, np.ndarray], fitted: np.ndarray) -> Finding:
    """Whether the labels of level k were fitted, and the test accuracy at the end; fitted: (seeds,) epochs."""
    train, test = (format_percent(final[name][k], " %") for name in ("train_accuracy", "test_accuracy"))
    reached = int(np.isfinite(fitted).sum())
    if reached:
        fit = f"99 % training accuracy after {format_median_range(fitted)} epochs"
        fit += f" in {reached} of {len(fitted)} trainings" if len(fitted) > 1 else ""
    else:
        fit = f"no training reaches 99 % training accuracy in {settings.epochs} epochs; at the end it is {train}"
    chance = format_number(100 / settings.info.classes)
    text = f"{_label(settings.noise[k])}: {fit}; test accuracy at the end {test} (chance is {chance} %)."
    return Finding("labels-fitted", text)


def _same_fit(settings: Settings, final: dict[str, np.ndarray]) -> list[Finding]:
    """State what a good fit of the training labels shows, from the net on true and on random labels."""
    if not {0.0, 1.0} <= set(settings.noise):
        return []
    levels = [settings.noise.index(v) for v in (0.0, 1.0)]
    memorized = final["train_accuracy"][levels[1]]
    known = np.isfinite(final["test_accuracy"][levels]).any(axis=1).all()
    if not known or np.nanmedian(memorized) < CHANCE / settings.info.classes:
        return []
    true, random = (format_percent(final["test_accuracy"][k], " %") for k in levels)
    text = (
        f"The same net, with the same optimizer, has a test accuracy of {true} after true labels and {random} after "
        "random "
        f"ones, of which it learned {format_percent(memorized, ' %')}: a high training accuracy alone does not show "
        "that a "
        "net does well on new images. This does not show that it learns true labels by heart too."
    )
    return [Finding("labels-fitted", text)]
