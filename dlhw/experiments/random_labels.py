"""Can a net learn labels that mean nothing, and what does it then know of the test set?

Held fixed: net, images, optimizer, rate, batch size and epochs; only a share of the training labels is shuffled, once,
before the first epoch. Test labels stay true.
Reference: Zhang et al. 2017, Understanding deep learning requires rethinking generalization.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import numpy as np
from matplotlib.figure import Figure

from dlhw import datasets
from dlhw.context import Context
from dlhw.errors import require
from dlhw.experiments import _curves, _images
from dlhw.section import Section, Series
from dlhw.settings import option
from dlhw.summary import Summary, number, spread, statistics

FITTED = 0.99  # training accuracy at which labels count as learnt


@dataclass(frozen=True)
class Settings(_images.BatchSettings):
    """What `dlhw random-labels` takes."""

    epochs: int = option(100, "Passes over the training set.")
    learning_rate: float = option(0.0001, "Step size of the optimizer.")
    optimizer: Literal["sgd", "nesterov", "adam", "rmsprop"] = option("adam", "Optimizer.")
    seeds: int = option(1, "Number of repeats.")
    net: str = option("deep", "Net: deep, wide, plain, or layers such as 20c3-p2-100.")
    noise: tuple[float, ...] = option((0.0, 1.0), "Shares of the training labels that are shuffled.")

    def __post_init__(self) -> None:
        super().__post_init__()
        self.check_nets((self.net,), "--net")
        require(len(self.noise) > 0, "--noise is empty; give at least one share, such as 0,1")
        require(len(set(self.noise)) == len(self.noise), "--noise names a share twice")
        for share in self.noise:
            require(0 <= share <= 1, f"--noise {share:g} must lie in [0, 1]: the share of labels that are shuffled")


@dataclass(frozen=True)
class Result(_curves.Curves):
    """A row a noise level. Training loss and accuracy are those of the labels trained on; test labels are true."""


SECTION = Section(
    "1-3 a",
    "Random labels",
    fixed=("data", "net", "epochs", "batch_size", "learning_rate", "optimizer", "activation", "init"),
    captions={"curves": "Loss and accuracy after every epoch on true and on shuffled labels; chance is dotted."},
    mistakes=(
        "Labels are drawn anew every epoch: then nothing can be learnt, and the net looks as if it refused to.",
        "Test labels are shuffled too; test accuracy is then chance whatever was learnt.",
    ),
    quick={"data": "digits", "net": "200-100", "examples": 600, "epochs": 60, "learning_rate": 0.001},
)

TINY = Settings(data="digits", net="10", examples=100, epochs=2, learning_rate=0.01, seeds=2)


def run(settings: Settings, context: Context) -> Result:
    """Train the net on every noise level from every seed."""

    def job(noise: float, seed: int) -> _images.Job:
        shuffled = partial(datasets.shuffle_labels, noise=noise, seed=seed)
        return _images.job(settings, settings.net, seed, labels=shuffled)

    rows = {f"noise {noise!r}": partial(job, noise) for noise in settings.noise}
    return Result(**_images.train_rows(settings, rows, context))


def figures(settings: Settings, result: Result) -> dict[str, Figure]:
    """`curves`: loss and accuracy against epoch, every noise level, training solid, test dashed, chance dotted."""
    labels = [_label(v) + _curves.gone(result.diverged_at[k]) for k, v in enumerate(settings.noise)]
    title = f"{settings.net} net ({settings.parameters(settings.net):,} parameters), labels true and shuffled"
    chance = 1 / datasets.known(settings.data).classes
    over = _curves.over(settings.seeds)
    return {"curves": _curves.curve_figure(result, labels, title, settings.where(), over, chance)}


def _label(noise: float) -> str:
    return {0.0: "true labels", 1.0: "random labels"}.get(noise, f"{100 * noise:g} % of labels shuffled")


def epochs_to_fit(result: Result) -> np.ndarray:
    """First epoch with a training accuracy of 99 %, (L, S); nan: never reached, or diverged."""
    there = result.train_accuracy >= FITTED
    return np.where(there.any(axis=-1) & (result.diverged_at < 0), there.argmax(axis=-1), np.nan)


def series(settings: Settings, result: Result) -> Series:
    """Training accuracy against epoch, a line a noise level."""
    return _curves.series([_label(v) for v in settings.noise], result, "train_accuracy")


def summary(settings: Settings, result: Result) -> Summary:
    """A row a noise level: how far the labels were learnt, and what that was worth on the test set."""
    found, fitted = _curves.ends(result), epochs_to_fit(result)
    seconds = _curves.seconds(settings, result.seconds)
    numbers: dict[str, Any] = {"parameters": settings.parameters(settings.net)}
    rows = []
    for k, noise in enumerate(settings.noise):
        numbers[f"noise {noise!r}"] = {
            **{name: statistics(values[k]) for name, values in found.items()},
            "epochs_to_99": statistics(fitted[k]),
            "diverged": int((result.diverged_at[k] >= 0).sum()),
            "seconds": statistics(seconds[k]),
        }
        losses = [
            _curves.mean_std(found[n][k]) for n in ("train_loss", "test_loss", "late_test_loss", "best_test_loss")
        ]
        shares = [_curves.percent(found[n][k]) for n in ("train_accuracy", "test_accuracy")]
        reached = "never" if np.isnan(fitted[k]).all() else spread(fitted[k])
        rows.append((_label(noise), *losses, *shares, reached, f"{seconds[k].mean():.0f}"))
    columns: tuple[str, ...] = ("labels", "train loss", "test loss", "test loss, median of last 5 %")
    columns += ("best test loss (chosen on test)", "train accuracy, %", "test accuracy, %")
    columns += ("epochs to 99 % train accuracy", "seconds")
    title = f"random-labels on {settings.where()}: after {settings.epochs} epochs, {_curves.statistic(settings.seeds)}"
    said = []
    for k, noise in enumerate(settings.noise):
        said.append(_sentence(settings, noise, found["train_accuracy"][k], found["test_accuracy"][k], fitted[k]))
    if settings.seeds == 1:
        said.append("One training a level: one seed decides nothing.")
    labels = [_label(v) for v in settings.noise]
    return Summary(title, columns, tuple(rows), (*said, *_curves.divergences(labels, result.diverged_at)), numbers)


def _sentence(settings: Settings, noise: float, train: np.ndarray, test: np.ndarray, fitted: np.ndarray) -> str:
    reached = int(np.isfinite(fitted).sum())
    if reached:
        how = f"99 % training accuracy after {spread(fitted)} epochs"
        how += f" in {reached} of {len(fitted)} trainings" if len(fitted) > 1 else ""
    else:
        how = f"no training reaches 99 % training accuracy in {settings.epochs} epochs; the last is {_share(train)}"
    chance = 100 / datasets.known(settings.data).classes
    return f"{_label(noise)}: {how}; test accuracy at the end {_share(test)} (chance is {number(chance)} %)."


def _share(values: np.ndarray) -> str:
    return spread(100 * values, " %")
