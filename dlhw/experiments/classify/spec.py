"""Settings and results of `classify`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

import numpy as np
from numpy.typing import NDArray

from dlhw.choices import Until
from dlhw.present.curves import CurveRows
from dlhw.present.section import Section
from dlhw.runs import until
from dlhw.runs.base_settings import BatchSettings
from dlhw.runs.settings import DatasetDefaults, option
from dlhw.training.convergence import OVER_EPOCHS


@dataclass(frozen=True)
class Settings(BatchSettings):
    """Settings of `dlhw classify`."""

    models: tuple[str, ...] = option(
        ("deep", "wide", "plain"), "Nets: deep, wide, plain, or layers such as 20c3-p2-16c3-p2-700-95-90."
    )

    until: Until = option("epochs", until.HELP)

    DATASET_DEFAULTS: ClassVar[DatasetDefaults] = {
        "digits": {"models": ("8c3-8c3-p2-32-16", "32c3-p2-32", "8c3-p2-32"), "learning_rate": 0.02},
        "mnist-5k": {"learning_rate": 0.01},
        "cifar10": {"learning_rate": 0.01},
    }

    def __post_init__(self) -> None:
        super().__post_init__()
        self.check_nets(self.models, "models")
        until.check_until(self.until, self.epochs, OVER_EPOCHS.least)


@dataclass(frozen=True)
class Result(CurveRows):
    """One row per net."""

    SIZES: ClassVar = {"R": "models", "S": "seeds"}
    stopped_at: Annotated[NDArray[np.integer], "R, S"] | None = None  # epoch, or -1; with `until` converged


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
