"""Settings and results of `sweep-batch`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from dlhw.errors import require
from dlhw.present.section import Section
from dlhw.runs.base_settings import ImageSettings
from dlhw.runs.settings import DatasetDefaults, option

Array = NDArray[np.floating]

TOLERANCE = 1e-3
"""Residual of an eigenvalue relative to its size, below which it counts as converged."""


@dataclass(frozen=True)
class Settings(ImageSettings):
    """Settings of `dlhw sweep-batch`."""

    net: str = option("10c5-p2-20c5-p2-50", "Net: deep, wide, plain, or layers such as 20c3-p2-100.")
    sizes: tuple[int, ...] = option((64, 100, 500, 4000, 8000), "Batch sizes.", positional=True)
    equal: Literal["epochs", "updates"] = option(
        "epochs",
        "Train each batch size for equally many epochs, or updates: those of the median size in `epochs` epochs.",
    )
    epsilon: tuple[float, ...] = option((0.001, 0.0005), "Sizes of the box of Keskar's sharpness.")
    curvature_examples: int = option(2000, "Training examples on which sharpness and curvature are measured.")

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
        self.check_nets((self.net,), "net")
        require(len(self.sizes) > 1, "`sizes` needs at least two batch sizes to compare, such as 64 500")
        for size in self.sizes:
            self.check_batch(size, "`sizes`: batch size")
        twice = [s for s in self.sizes if self.sizes.count(s) > 1]
        require(not twice, f"`sizes` names {twice[0] if twice else ''} twice")
        require(len(self.epsilon) > 0, "`epsilon` is empty; give at least one box, such as 0.001")
        require(len(set(self.epsilon)) == len(self.epsilon), "`epsilon` names a box twice")
        for epsilon in self.epsilon:
            require(0 < epsilon <= 1, f"`epsilon` {epsilon:g} must lie in (0, 1]")
        n = self.curvature_examples
        require(n >= 1, f"`curvature_examples` {n} must be positive")

    def updates(self, size: int) -> int:
        """Return the number of updates of the training with batch size `size`."""
        if self.equal == "epochs":
            return self.epochs * self.steps_per_epoch(size)
        median = sorted(self.sizes)[(len(self.sizes) - 1) // 2]
        return self.epochs * self.steps_per_epoch(median)


@dataclass(frozen=True)
class Result:
    """B batch sizes, S seeds, K boxes. Nothing of a training that diverged is finite."""

    SIZES: ClassVar = {"B": "sizes", "S": "seeds", "K": "epsilon"}
    train_loss: Annotated[Array, "B, S"]  # cross entropy in nats, after the last update
    train_accuracy: Annotated[Array, "B, S"]  # fraction in [0, 1]
    test_loss: Annotated[Array, "B, S"]
    test_accuracy: Annotated[Array, "B, S"]
    sensitivity: Annotated[Array, "B, S"]  # mean |d loss_i / d x_i| over the test set, nats per unit of a pixel
    sensitivity_error: Annotated[Array, "B, S"]  # its standard error over the test images
    batch_mean_gradient: Annotated[Array, "B, S"]  # the same of the mean loss of batches of B: the mistake
    jacobian: Annotated[Array, "B, S"]  # mean |d softmax / d x_i| over the test set
    start_sensitivity: Annotated[Array, "S"]  # sensitivity before the first update, the same for every size
    keskar: Annotated[Array, "B, S, K"]  # phi, per cent of 1 + f, on the fixed training subset
    eigenvalue: Annotated[Array, "B, S"]  # largest of the Hessian, on the same subset
    eigenvalue_residual: Annotated[Array, "B, S"]  # |H v - lambda v|: an eigenvalue lies that close
    diverged_at: Annotated[NDArray[np.integer], "B, S"]  # epoch, or -1
    seconds: Annotated[tuple[float, ...], "B S"]  # wall time, measurements included, size by size
    keskar_spread: Annotated[Array, "B, S, K"] | None = None  # (largest - smallest) / largest of the searches
    keskar_settled: Annotated[Array, "B, S, K"] | None = None  # 1 where the best search settled, 0 at its cap
    gap_error: Annotated[Array, "B, S"] | None = None  # standard error of test loss - train loss over the images


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
    answer="range-of-ends",
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
