"""Settings and results of `classify`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

import numpy as np
from numpy.typing import NDArray

from dlhw.choices import Until
from dlhw.errors import require
from dlhw.models import architectures
from dlhw.present.curves import CurveRows
from dlhw.present.section import Section, SectionRun
from dlhw.runs import until
from dlhw.runs.base_settings import BatchSettings
from dlhw.runs.settings import DatasetDefaults, option
from dlhw.runs.tuning import VALIDATION_SHARE, TuningSettings
from dlhw.training.convergence import OVER_EPOCHS


@dataclass(frozen=True)
class Settings(TuningSettings, BatchSettings):
    """Settings of `dlhw classify`."""

    models: tuple[str, ...] = option(
        ("deep", "wide", "plain"),
        "Nets: deep, wide, plain, or layers such as 20c3-p2-16c3-p2-700-95-90.",
        notation=architectures.IMAGE_NOTATION,
        describe=architectures.describe_layers,
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
        self.check_tuning()
        if self.tune:
            validation = self.training_examples // VALIDATION_SHARE
            few = f"`tune` holds out one in {VALIDATION_SHARE} of {self.training_examples} training examples"
            require(
                validation >= self.info.classes, f"{few}, too few for {self.info.classes} classes; raise `examples`"
            )
            require(
                self.batch_size <= self.training_examples - validation,
                f"{few}; `batch_size` {self.batch_size} exceeds the others",
            )
        until.check_until(self.until, self.epochs, OVER_EPOCHS.least)


@dataclass(frozen=True)
class Result(CurveRows):
    """One row per net."""

    SIZES: ClassVar = {"R": "models", "S": "seeds"}
    stopped_at: Annotated[NDArray[np.integer], "R, S"] | None = None  # epoch, or -1; with `until` converged
    # With `tune`, of G rates on K seeds; all else is at the tuned rate.
    tuned_rate: Annotated[NDArray[np.floating], "R"] | None = None
    tuning_loss: Annotated[NDArray[np.floating], "R, G, K"] | None = None  # of validation, late median; nan: diverged
    untuned_loss: Annotated[NDArray[np.floating], "R, S"] | None = None  # final test loss at the rate of the settings


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
        "curves": "Loss and error after every epoch, training solid, test dashed: median and range of the seeds.",
        "tuning": "Validation loss against learning rate, on seeds that are not reported; outlined: the chosen rates.",
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
    runs=(
        SectionRun("Handwritten digits"),
        SectionRun("Articles of clothing: Fashion-MNIST", {"data": "fashion-mnist"}, preset="complete"),
        SectionRun("Photographs: CIFAR-10", {"data": "cifar10"}, preset="complete"),
    ),
)

TINY = Settings(data="digits", models=("2c3-p2-8", "10"), examples=200, epochs=2, learning_rate=0.05, seeds=2)
