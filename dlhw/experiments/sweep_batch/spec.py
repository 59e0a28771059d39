"""Settings and results of `sweep-batch`: the sweep over batch sizes that the assignment asks for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from dlhw.experiments.sweep.spec import Result as SweepResult
from dlhw.experiments.sweep.spec import SweepSettings, check_points
from dlhw.present.section import Section
from dlhw.runs.settings import DatasetDefaults, option
from dlhw.runs.variations import VARIABLES, Variable


@dataclass(frozen=True)
class Settings(SweepSettings):
    """Settings of `dlhw sweep-batch`."""

    sizes: tuple[int, ...] = option((64, 100, 500, 4000, 8000), "Batch sizes.", positional=True)

    DATASET_DEFAULTS: ClassVar[DatasetDefaults] = {
        "digits": {
            "net": "8c3-p2-30",
            "sizes": (16, 64, 256, 1000),
            "learning_rate": 0.01,
            "curvature_examples": 1000,
        },
        "mnist-5k": {"sizes": (16, 64, 256, 1000, 4000), "learning_rate": 0.01},
        "cifar10": {"learning_rate": 0.005},
    }

    def __post_init__(self) -> None:
        super().__post_init__()
        check_points(self, self.sizes, "`sizes`")

    @property
    def variable(self) -> Variable:
        """What varies: the batch size."""
        return VARIABLES["batch-size"]

    @property
    def points(self) -> tuple[float, ...]:
        """The batch sizes."""
        return self.sizes


class Result(SweepResult):
    """Of B batch sizes."""

    SIZES: ClassVar = {"B": "sizes", "S": "seeds", "K": "epsilon"}


SECTION = Section(
    "1-3 c 2",
    "Flatness: sensitivity and sharpness against batch size",
    assignment_settings=("data", "sizes", "epochs", "momentum", "optimizer", "activation", "init"),
    captions={
        "sensitivity": "Loss, error and sensitivity against batch size; dashed a popular mistake, the batch mean.",
        "sharpness": "Keskar's sharpness, the largest Hessian eigenvalue and the Jacobian norm against batch size.",
    },
    pitfalls=(
        "Calling the gradient of the batch mean sensitivity: it carries a factor 1/B and falls whatever the net does.",
        "Training for equal epochs: large batches take few updates, and a net that has hardly left its initial weights "
        "is called flat.",
        "Comparing sharpness, which depends on the scale of the weights, between nets of different scale.",
    ),
    quick_settings={
        "data": "digits",
        "net": "8c3-p2-30",
        "sizes": (16, 64, 256, 1000),
        "epochs": 15,
        "learning_rate": 0.01,
        "curvature_examples": 500,
        "seeds": 2,
    },
)

TINY = Settings(
    data="digits",
    net="8",
    sizes=(20, 50),
    examples=100,
    epochs=2,
    learning_rate=0.05,
    seeds=2,
    epsilon=(0.01,),
    curvature_examples=50,
)
