"""Which of three convolutional nets learns images best: deep, wide, or plain?

Held fixed: data, optimizer, rate, batch size and epochs; the nets differ in depth, width and number of parameters, as
in the report. Loss and accuracy are measured in inference mode after every epoch.
Reference: LeCun et al. 1998, Gradient-based learning applied to document recognition.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from dlhw import architectures, datasets
from dlhw.context import Context
from dlhw.experiments import _curves, _images
from dlhw.section import Section, Series
from dlhw.settings import option
from dlhw.summary import Summary, lowest, statistics


@dataclass(frozen=True)
class Settings(_images.BatchSettings):
    """What `dlhw classify` takes."""

    models: tuple[str, ...] = option(
        ("deep", "wide", "plain"), "Nets: deep, wide, plain, or layers such as 20c3-p2-16c3-p2-700-95-90."
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        self.check_nets(self.models, "--models")


@dataclass(frozen=True)
class Result(_curves.Curves):
    """A row a net."""


SECTION = Section(
    "1-1 b",
    "Three convolutional nets on images",
    fixed=("data", "epochs", "batch_size", "learning_rate", "momentum", "optimizer", "activation", "init", "models"),
    captions={
        "curves": "Loss and accuracy after every epoch, training solid, test dashed: median and range of the seeds."
    },
    mistakes=(
        "Training loss as a running mean over the epoch beside the test loss at its end: the gap is wrong.",
        "Nets of different parameter counts are called deep and shallow, and depth gets the credit of size.",
    ),
    quick={
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
    rows = {net: partial(_images.job, settings, net) for net in settings.models}
    return Result(**_images.train_rows(settings, rows, context))


def figures(settings: Settings, result: Result) -> dict[str, Figure]:
    """`curves`: loss and accuracy against epoch, training solid, test dashed."""
    labels = [
        f"{net}: {settings.parameters(net):,} parameters" + _curves.gone(result.diverged_at[k])
        for k, net in enumerate(settings.models)
    ]
    title = "Nets of different shape learn the same images"
    return {"curves": _curves.curve_figure(result, labels, title, settings.where(), _curves.over(settings.seeds))}


def series(settings: Settings, result: Result) -> Series:
    """Test loss against epoch, a line a net."""
    return _curves.series(settings.models, result)


def summary(settings: Settings, result: Result) -> Summary:
    """A row a net; which has the lowest test loss and the fewest errors, as far as the seeds bear it out."""
    found = _curves.ends(result)
    seconds = _curves.seconds(settings, result.seconds)
    numbers: dict[str, Any] = {}
    rows = []
    for k, net in enumerate(settings.models):
        gone = int((result.diverged_at[k] >= 0).sum())
        layers = sum(layer.kind != "pool" for layer in architectures.parse_layers(net)) + 1
        numbers[net] = {
            "layers": layers,
            "parameters": settings.parameters(net),
            **{name: statistics(values[k]) for name, values in found.items()},
            "diverged": gone,
            "seconds": statistics(seconds[k]),
            "compile_seconds": statistics(_curves.seconds(settings, result.compile_seconds)[k]),
        }
        losses = [_curves.mean_std(found[n][k]) for n in ("train_loss", "test_loss", "best_test_loss")]
        percents = [_curves.percent(found[n][k]) for n in ("train_accuracy", "test_accuracy", "best_test_accuracy")]
        rows.append(
            (net, str(layers), f"{settings.parameters(net):,}", *losses, *percents, f"{gone} of {settings.seeds}")
        )
        rows[-1] += (f"{seconds[k].mean():.0f}",)
    columns: tuple[str, ...] = (
        "net",
        "layers",
        "parameters",
        "train loss",
        "test loss",
        "best test loss (chosen on test)",
    )
    columns += ("train accuracy, %", "test accuracy, %", "best test accuracy, %", "diverged", "seconds")
    title = f"classify {settings.where()}: after {settings.epochs} epochs, {_curves.statistic(settings.seeds)}"
    errors = 100 * (1 - found["test_accuracy"])
    shares = _curves.median(errors) / 100
    # All seeds are tested on the same images, so that more seeds do not lower this error.
    noise = 100 * np.sqrt(shares * (1 - shares) / datasets.known(settings.data).test)
    said = [
        lowest(settings.models, found["test_loss"], "test loss"),
        lowest(settings.models, errors, "share of test errors (in %)", error=np.nan_to_num(noise).tolist()),
        *_curves.divergences(settings.models, result.diverged_at),
    ]
    return Summary(title, columns, tuple(rows), tuple(said), numbers)
